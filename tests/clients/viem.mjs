// viem 2 as a client of a community's chain: reads, watches, transfers, is refused.
// Standard input: {modules, url, certificate, id, amount, holder, receiver, key}; output: what it
// saw.

import { createRequire } from "node:module";
import { ALL, EVENTS, INTERFACES, metadata, plain, task } from "./standards.mjs";

const { modules, url, certificate: address, id, amount, holder, receiver, key } = await task();
const library = createRequire(`${modules}/`);
const viem = library("viem");
const { privateKeyToAccount } = library("viem/accounts");

const abi = viem.parseAbi(ALL);
// Questions of one moment go in one body, as a JSON-RPC batch.
const transport = viem.http(url, { batch: true });
const unnamed = viem.createPublicClient({ transport });
const chain = viem.defineChain({
  id: await unnamed.getChainId(),
  name: "community",
  nativeCurrency: { name: "none", symbol: "NONE", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const client = viem.createPublicClient({ chain, transport, pollingInterval: 50 });
const account = privateKeyToAccount(key);
const wallet = viem.createWalletClient({ account, chain, transport });
const owners = [holder, receiver, holder];
const ids = [id, id, id + 1n];

const read = (functionName, ...args) => client.readContract({ address, abi, functionName, args });

async function balances() {
  const [first, second, batch, claimed, claimedBatch] = await Promise.all([
    read("balanceOf", holder, id),
    read("balanceOf", receiver, id),
    read("balanceOfBatch", owners, ids),
    read("claimedBalanceOf", holder, id),
    read("claimedBalanceOfBatch", owners, ids),
  ]);
  return { single: [first, second], batch, claimed, claimedBatch };
}

function told(log) {
  const inputs = abi.find((item) => item.type === "event" && item.name === log.eventName).inputs;
  const args = inputs.map((input) => log.args[input.name]);
  return { block: Number(log.blockNumber), transaction: log.transactionHash, args };
}

async function refused(asking) {
  try {
    await asking();
  } catch (error) {
    const revert = error.walk((cause) => cause instanceof viem.ContractFunctionRevertedError);
    return { code: error.name, reason: revert?.reason ?? error.shortMessage };
  }
  return null;
}

const transferring = (value, more = {}) => ({
  address, abi, account, functionName: "safeTransferFrom",
  args: [holder, receiver, id, value, "0x"], ...more,
});
const events = (eventName, args) =>
  client.getContractEvents({ address, abi, eventName, args, fromBlock: 0n, toBlock: "latest" });

const [issuer, topic, validityCall, data] = await read("getCertificate", id);
const uri = await read("uri", id);
const asked = await client.call({ to: address, data: validityCall });
const seen = {
  version: library("viem/package.json").version,
  chainId: chain.id,
  block: Number(await client.getBlockNumber()),
  isContract: (await client.getCode({ address })) !== undefined,
  interfaces: await Promise.all(INTERFACES.map((one) => read("supportsInterface", one))),
  certificate: { issuer, topic, data },
  valid: BigInt(asked.data) === 1n,
  uri,
  metadata: await metadata(uri, id),
  before: await balances(),
  events: {},
};
for (const name of EVENTS) {
  seen.events[name] = (await events(name)).map(told);
}
seen.moves = (await events("TransferSingle", { _from: holder })).map(told);

// Told by the chain, and not by the transaction's own receipt.
let stopWatching;
const watched = new Promise((resolve, reject) => {
  stopWatching = client.watchContractEvent({
    address, abi, eventName: "TransferSingle", args: { _from: holder, _to: receiver },
    onLogs: (logs) => resolve(told(logs[0])), onError: reject,
  });
});
// The watch is set up meanwhile, by a request before this question.
await new Promise((resolve) => setTimeout(resolve, 200));
await client.getBlockNumber({ cacheTime: 0 });
const hash = await wallet.writeContract(transferring(amount));
const receipt = await client.waitForTransactionReceipt({ hash });
const [log] = viem.parseEventLogs({ abi, logs: receipt.logs });
seen.transfer = {
  transaction: hash,
  block: Number(receipt.blockNumber),
  status: receipt.status === "success" ? 1 : 0,
  gas: receipt.gasUsed,
  found: Number((await client.getTransaction({ hash })).blockNumber),
  log: told(log),
};
seen.watched = await watched;
stopWatching();
seen.after = await balances();

const tooMuch = seen.after.single[0] + 1n;
seen.refusedCall = await refused(() => client.simulateContract(transferring(tooMuch)));
seen.refusedEstimate = await refused(() => client.estimateContractGas(transferring(tooMuch)));
const undone = await wallet.writeContract(transferring(tooMuch, { gas: 300_000n }));
const after = await client.waitForTransactionReceipt({ hash: undone });
const status = after.status === "success" ? 1 : 0;
seen.refusedInBlock = { code: after.status, reason: null, status };
seen.end = await balances();
process.stdout.write(JSON.stringify(plain(seen)));
