// The gRPC client of Node.js, @grpc/grpc-js: node grpc_js.js HOST:PORT PROTOS NODE_MODULES
const { createRequire } = require('module');
const [address, protos, modules] = process.argv.slice(2);
const load = createRequire(modules + '/');
const grpc = load('@grpc/grpc-js');
const loader = load('@grpc/proto-loader');

const definition = loader.loadSync('grpc_service.proto', { includeDirs: [protos], longs: Number, keepCase: true });
const { GRPCInferenceService } = grpc.loadPackageDefinition(definition).inference;
const client = new GRPCInferenceService(address, grpc.credentials.createInsecure());

const request = (id, rows = [[5.1, 3.5, 1.4, 0.2]], model = 'iris') => ({
  model_name: model,
  id,
  inputs: [{ name: 'X', datatype: 'FP32', shape: [rows.length, 4], contents: { fp32_contents: rows.flat() } }],
});
const label = (answer) => Number(answer.raw_output_contents[0].readBigInt64LE(0));

const ask = (method, message, options = {}) =>
  new Promise((told) => client[method](message, options, (error, answer) => told(error ? [error.code, error.details] : answer)));

const stream = () =>
  new Promise((told) => {
    const came = [];
    const call = client.ModelStreamInfer();
    call.on('data', (part) => came.push(part.error_message || part.infer_response.id));
    call.on('error', (error) => told([error.code]));
    call.on('end', () => told(came));
    for (const [id, model] of [['1', 'iris'], ['2', 'nobody'], ['3', 'iris']]) call.write(request(id, undefined, model));
    call.end();
  });

async function main() {
  const many = await Promise.all(Array.from({ length: 300 }, (_, at) => ask('ModelInfer', request(String(at)))));
  const large = await ask('ModelInfer', request('large', Array.from({ length: 50000 }, () => [5.1, 3.5, 1.4, 0.2])));
  const told = {
    live: (await ask('ServerLive', {})).live,
    label: label(await ask('ModelInfer', request('7'))),
    ids: many.filter((answer, at) => answer.id === String(at)).length,
    large: Number(large.outputs[0].shape[0]),
    stream: await stream(),
    unknown: await ask('ModelInfer', request('', undefined, 'nobody')),
    late: (await ask('ModelInfer', request('8'), { deadline: Date.now() - 1000 }))[0],
  };
  client.close();
  console.log(JSON.stringify(told));
}

main();
