/**
 * Joins a hub of this machine to the hubs of the same number in other tabs, by a BroadcastChannel: the thread of the network cards waits in
 * `Atomics.wait` and would never see its messages.
 */
import { viewsOf } from '../base/views.ts';
import type { HubLinkSetup } from '../iothread/hubs.ts';
import { CAUSE_COMPLETION } from '../layout/machine.ts';
import { MessageRing } from '../sync/message-ring.ts';
import { wakeThread } from '../sync/wake.ts';

addEventListener('message', ({ data }: MessageEvent<HubLinkSetup>) => {
  const { hub, memory, thread } = data;
  const views = viewsOf(memory);
  const incoming = new MessageRing(data.incoming);
  const channel = new BroadcastChannel(`virtab-hub-${hub}`);
  channel.addEventListener('message', ({ data: burst }: MessageEvent<unknown>) => {
    if (!(burst instanceof Uint8Array) || !incoming.send(burst)) return;
    wakeThread(views, thread, CAUSE_COMPLETION);
  });
  postMessage('ready');
  void new MessageRing(data.outgoing).consume((burst) => channel.postMessage(burst));
});
