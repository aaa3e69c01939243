// ethers 6 as a client of a community's chain: reads, watches, transfers, is refused.
// Standard input: {modules, url, certificate, id, amount, holder, receiver, key}; output: what it
// saw.

import { createRequire } from "node:module";
import { ALL, EVENTS, INTERFACES, metadata, plain, task } from "./standards.mjs";

const { modules, url, certificate: address, id, amount, holder, receiver, key } = await task();
const { Contract, JsonRpcProvider, Wallet, version } = createRequire(`${modules}/`)("ethers");

// Unless told otherwise ethers takes an answer of the last 250 ms for the same question, and a
// second transaction in that time has the first one's number.
const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 50, cacheTimeout: -1 });
const wallet = new Wallet(key, provider);
const certificate = new Contract(address, ALL, wallet);
const owners = [holder, receiver, holder];
const ids = [id, id, id + 1n];

async function balances() {
  return {
    single: await Promise.all([holder, receiver].map((who) => certificate.balanceOf(who, id))),
    batch: [...(await certificate.balanceOfBatch(owners, ids))],
    claimed: await certificate.claimedBalanceOf(holder, id),
    claimedBatch: [...(await certificate.claimedBalanceOfBatch(owners, ids))],
  };
}

function told(log) {
  const args = log.args.toArray().map((arg) => (arg.toArray ? arg.toArray() : arg));
  return { block: log.blockNumber, transaction: log.transactionHash, args };
}

async function refused(sending) {
  try {
    await sending();
  } catch (error) {
    const status = error.receipt?.status ?? null;
    return { code: error.code, reason: error.reason, status, said: error.message };
  }
  return null;
}

const network = await provider.getNetwork();
const [issuer, topic, validityCall, data] = await certificate.getCertificate(id);
const uri = await certificate.uri(id);
const seen = {
  version,
  chainId: network.chainId,
  block: await provider.getBlockNumber(),
  isContract: (await provider.getCode(address)) !== "0x",
  interfaces: await Promise.all(INTERFACES.map((one) => certificate.supportsInterface(one))),
  certificate: { issuer, topic, data },
  valid: BigInt(await provider.call({ to: address, data: validityCall })) === 1n,
  uri,
  metadata: await metadata(uri, id),
  before: await balances(),
  events: {},
};
for (const name of EVENTS) {
  seen.events[name] = (await certificate.queryFilter(name, 0)).map(told);
}
const ownMoves = certificate.filters.TransferSingle(null, holder);
seen.moves = (await certificate.queryFilter(ownMoves, 0, "latest")).map(told);

// Told by the chain, and not by the transaction's own receipt.
const watched = new Promise((resolve) => {
  certificate.once(certificate.filters.TransferSingle(null, holder, receiver), (event) =>
    resolve(told(event.log)),
  );
});
// The watch is set up meanwhile, by a request before this question.
await new Promise((resolve) => setTimeout(resolve, 200));
await provider.send("eth_blockNumber", []);
const sent = await certificate.safeTransferFrom(holder, receiver, id, amount, "0x");
const receipt = await sent.wait();
seen.transfer = {
  transaction: receipt.hash,
  block: receipt.blockNumber,
  status: receipt.status,
  gas: receipt.gasUsed,
  found: (await provider.getTransaction(receipt.hash)).blockNumber,
  log: told(receipt.logs[0]),
};
seen.watched = await watched;
seen.after = await balances();

const tooMuch = [holder, receiver, id, seen.after.single[0] + 1n, "0x"];
seen.refusedCall = await refused(() => certificate.safeTransferFrom.staticCall(...tooMuch));
seen.refusedEstimate = await refused(() => certificate.safeTransferFrom(...tooMuch));
seen.refusedInBlock = await refused(async () => {
  await (await certificate.safeTransferFrom(...tooMuch, { gasLimit: 300_000n })).wait();
});
seen.end = await balances();
process.stdout.write(JSON.stringify(plain(seen)));
provider.destroy();
