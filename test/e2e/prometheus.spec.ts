import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type DingTalkSimulator,
  hasDebianFile,
  newFolder,
  removeFolder,
  type Service,
  type SmtpSimulator,
  startDingTalkSimulator,
  startService,
  startSmtpServer,
  TEST_INGEST_TOKEN,
} from '#testing';
import { mailAndRobot, ROBOT } from './stories.js';

const PROMETHEUS = '/usr/bin/prometheus';

const describeWithPrometheus = hasDebianFile(PROMETHEUS, 'prometheus') ? describe : describe.skip;

describeWithPrometheus('Prometheus with a firing rule', () => {
  let folder: string;
  let smtp: SmtpSimulator;
  let dingtalk: DingTalkSimulator;
  let service: Service;
  let prometheus: ChildProcess;

  beforeEach(async () => {
    folder = await newFolder();
    smtp = await startSmtpServer();
    dingtalk = await startDingTalkSimulator({ robots: [ROBOT] });
    service = await startService({ folder, configuration: mailAndRobot(smtp, dingtalk) });
    prometheus = await startPrometheus(folder, new URL(service.http).host);
  });

  afterEach(async () => {
    prometheus.kill('SIGKILL');
    await service.kill();
    await Promise.all([smtp.stop(), dingtalk.stop()]);
    await removeFolder(folder);
  });

  it('reaches an inbox and a DingTalk robot through /api/v2/alerts', async () => {
    const [mail] = await smtp.waitForMails(1, 60_000);
    expect(mail!.subject).toContain('AlwaysFiring');
    expect(mail!.text).toContain('this rule always fires');
    const [message] = await dingtalk.waitForMessages(1, 60_000);
    expect(message!.text).toContain('AlwaysFiring');
  });
});

async function startPrometheus(folder: string, target: string): Promise<ChildProcess> {
  await writeFile(
    join(folder, 'rules.yml'),
    `
groups:
  - name: test
    interval: 1s
    rules:
      - alert: AlwaysFiring
        expr: vector(1)
        labels: { severity: critical }
        annotations: { summary: this rule always fires }
`,
  );
  await writeFile(
    join(folder, 'prometheus.yml'),
    `
global: { evaluation_interval: 1s }
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - authorization: { credentials: "${TEST_INGEST_TOKEN}" }
      static_configs: [{ targets: ["${target}"] }]
`,
  );
  return spawn(
    PROMETHEUS,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'tsdb')}`,
      '--web.listen-address=127.0.0.1:0',
      // The first evaluation comes before Prometheus has found its Alertmanagers; the next sending is a minute later by default.
      '--rules.alert.resend-delay=1s',
    ],
    { stdio: 'ignore' },
  );
}
