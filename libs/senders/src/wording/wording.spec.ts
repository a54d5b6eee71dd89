import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { aGroupContent, anAlertView } from '#testing';
import { cutToBytes, cutToCharacters, oneLine } from './cut.js';
import { alertLine, headline } from './headline.js';

describe('headline', () => {
  it('counts what fires, names the alert and tells what the group has in common', () => {
    const group = aGroupContent({ alerts: [anAlertView(), anAlertView(), anAlertView({ status: 'resolved' })] });
    expect(headline(group, 'critical')).toBe('[FIRING:2] HighCPU (severity=critical)');
    expect(headline({ ...group, status: 'resolved' }, 'critical')).toBe('[RESOLVED] HighCPU (severity=critical)');
  });

  it('names the other group labels, and a group without alertname', () => {
    const group = aGroupContent({ groupLabels: { cluster: 'eu' }, commonLabels: { cluster: 'eu' } });
    expect(headline(group, 'info')).toBe('[FIRING:1] alerts (cluster=eu)');
  });

  it('takes the first line of a text without subject', () => {
    expect(headline({ kind: 'text', text: '\nDisk full\non web-1' }, 'info')).toBe('Disk full');
    expect(headline({ kind: 'text', text: 'x', subject: 'Two\r\nlines' }, 'info')).toBe('Two lines');
    expect(headline({ kind: 'text', text: ' ' }, 'info')).toBe('info notification');
  });

  it('counts a digest', () => {
    const covers = [
      { id: '1', severity: 'critical' as const, title: 'a' },
      { id: '2', severity: 'info' as const, title: 'b' },
    ];
    expect(headline({ kind: 'digest', covers }, 'critical')).toBe('[DIGEST:2] 2 notifications, 1 critical');
  });

  it('names an alert in one line', () => {
    expect(alertLine(anAlertView())).toBe('HighCPU (instance=web-1:9100, severity=critical): cpu 97%');
  });
});

describe('cut', () => {
  it('keeps within the bytes and never splits a code point', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 3, max: 40 }), (text, bytesMax) => {
        const cut = cutToBytes(text, bytesMax);
        expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(bytesMax);
        expect(Buffer.from(cut).toString()).toBe(cut);
      }),
    );
  });

  it('uses the room there is', () => {
    expect(cutToBytes('告警告警', 9)).toBe('告警…');
    expect(cutToBytes('告警告', 9)).toBe('告警告');
  });

  it('drops a link that the cut would leave open', () => {
    expect(cutToBytes('see [source](http://example.com/graph) now', 30)).toBe('see …');
    expect(cutToBytes('see [source](http://example.com/graph) now and then', 45)).toContain('graph)');
  });

  it('cuts titles by characters and puts text on one line', () => {
    expect(cutToCharacters('abcdef', 4)).toBe('abc…');
    expect(cutToCharacters('abcd', 4)).toBe('abcd');
    expect(oneLine(' a\r\n\tb\u0000c ')).toBe('a b c');
  });
});
