import type { ChannelOptions } from '@grpc/grpc-js';

/** Options of both ends of every link. */
export const channelOptions: ChannelOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 4_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  'grpc.max_send_message_length': 16 * 1024 * 1024,
  // Streams resume by digests and the caller redials by itself: a hidden retry would only buffer.
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
};

/** Options of the calling end: one link is one connection, to the address given and no other. */
export const dialOptions: ChannelOptions = {
  ...channelOptions,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // Identities are URIs, so the TLS server name says nothing; an IP literal is not allowed in it.
  'grpc.ssl_target_name_override': 'control.headgate',
  'grpc.default_authority': 'control.headgate',
  // Bytes in flight: 64 KiB would hold a snapshot to 640 KB/s over a round trip of 100 ms.
  'grpc-node.flow_control_window': 1024 * 1024,
};
