import { ChannelError } from '../errors.js';
import type { Channel } from './channel.js';
import type { MethodHandlers } from './method-handlers.js';
import type { Transaction } from './transaction.js';

export const txMethods: MethodHandlers = {
  'tx.select': (channel) => {
    channel.publishing.selectTransactions();
    channel.send('tx.select-ok', {});
  },

  'tx.commit': (channel) => {
    const transaction = transactionOf(channel);
    const outcome = channel.publishing.publishAll(transaction);
    channel.deliveries.applySettlements(transaction);
    transaction.clear();
    if (outcome === 'refused') throw new ChannelError('precondition-failed', 'partial tx completion');
    channel.sendCommitOkWhenDurable(channel.host.durability.appended);
  },

  'tx.rollback': (channel) => {
    const transaction = transactionOf(channel);
    channel.deliveries.restoreSettlements(transaction);
    transaction.clear();
    channel.send('tx.rollback-ok', {});
  },
};

function transactionOf(channel: Channel): Transaction {
  const { transaction } = channel.publishing;
  if (transaction === undefined) throw new ChannelError('precondition-failed', 'channel is not transactional');
  return transaction;
}
