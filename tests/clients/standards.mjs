// What the standards say, written from their own texts and not from our contracts.

export const ERC165 = ["function supportsInterface(bytes4 interfaceID) view returns (bool)"];

export const ERC1155 = [
  "event TransferSingle(address indexed _operator, address indexed _from, address indexed _to, uint256 _id, uint256 _value)",
  "event TransferBatch(address indexed _operator, address indexed _from, address indexed _to, uint256[] _ids, uint256[] _values)",
  "event ApprovalForAll(address indexed _owner, address indexed _operator, bool _approved)",
  "function safeTransferFrom(address _from, address _to, uint256 _id, uint256 _value, bytes _data)",
  "function safeBatchTransferFrom(address _from, address _to, uint256[] _ids, uint256[] _values, bytes _data)",
  "function balanceOf(address _owner, uint256 _id) view returns (uint256)",
  "function balanceOfBatch(address[] _owners, uint256[] _ids) view returns (uint256[])",
  "function setApprovalForAll(address _operator, bool _approved)",
  "function isApprovedForAll(address _owner, address _operator) view returns (bool)",
  "function uri(uint256 _id) view returns (string)",
];

export const ERC1888 = [
  "event IssuanceSingle(address indexed _issuer, uint256 indexed _topic, uint256 _id, uint256 _value)",
  "event ClaimSingle(address indexed _claimIssuer, address indexed _claimSubject, uint256 indexed _topic, uint256 _id, uint256 _value, bytes _claimData)",
  "function getCertificate(uint256 _id) view returns (address _issuer, uint256 _topic, bytes _validityCall, bytes _data)",
  "function claimedBalanceOf(address _owner, uint256 _id) view returns (uint256)",
  "function claimedBalanceOfBatch(address[] _owners, uint256[] _ids) view returns (uint256[])",
];

export const ALL = [...ERC165, ...ERC1155, ...ERC1888];
export const EVENTS = ["TransferSingle", "TransferBatch", "IssuanceSingle", "ClaimSingle"];
export const INTERFACES = ["0x01ffc9a7", "0xd9b67a26", "0x0e89341c", "0xffffffff"];

// The id in the form that ERC-1155 wants in the place of {id}, and the document found there.
export async function metadata(uri, id) {
  const digits = id.toString(16).padStart(64, "0");
  return (await fetch(uri.replaceAll("{id}", digits))).json();
}

// Values that JSON can hold: numbers in decimal digits, addresses and bytes in small letters.
export function plain(value) {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string" && value.startsWith("0x")) return value.toLowerCase();
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, own]) => [name, plain(own)]));
}

// What to do: one JSON object on standard input.
export async function task() {
  let text = "";
  for await (const part of process.stdin) text += part;
  const { id, amount, ...rest } = JSON.parse(text);
  return { ...rest, id: BigInt(id), amount: BigInt(amount) };
}
