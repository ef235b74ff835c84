"""The Open Inference Protocol over gRPC: Triton's service and gRPC's own health, as methods of an
Rpc. (server 2.73dev, src/grpc/grpc_server.cc)"""
