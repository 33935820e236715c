/** What a sidecar asks the controller with: a gRPC client on the proxy's own HTTP/2, and Protocol Buffers by hand. */
export { type CallReceiver, GrpcChannel, GrpcError, type GrpcStream } from './channel.ts';
export { frameMessage } from './message-reader.ts';
export { ProtobufWriter, readFields, readText } from './protobuf.ts';
