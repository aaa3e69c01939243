# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Exchange
@license Apache-2.0
@notice Certificates for money: units wait in escrow, and payment and delivery happen in one
        transaction or not at all. Nobody is paid for running it, and nobody can stop it.
@dev The units of each offer lie in an escrow of their own in the Certificate contract, named by
     this contract, the seller and the offer's number. So what an offer has left is that escrow's
     balance, and what the issuer withdraws from it is missing in this offer and in no other.
"""

from ethereum.ercs import IERC20

interface Certificate:
    def balanceOf(owner: address, id: uint256) -> uint256: view
    def escrow_of(agent: address, holder: address, number: uint256) -> address: view
    def reserve(holder: address, number: uint256, id: uint256, amount: uint256) -> address: (
        nonpayable
    )
    def release(
        holder: address, number: uint256, receiver: address, id: uint256, amount: uint256
    ) -> uint256: nonpayable

U32: constant(uint256) = 2**32 - 1
U64: constant(uint256) = 2**64 - 1

certificate: public(immutable(address))
token: public(immutable(address))

struct Offer:
    seller: address
    id: uint256
    left: uint256
    price: uint256
    expires: uint256

# offer -> seller 160 | price for a unit 64 | expires 32; zero once it is sold or cancelled
terms: HashMap[uint256, uint256]
ids: HashMap[uint256, uint256]
# How many offers there have been; they are numbered from 1.
count: public(uint256)

event Offered:
    number: indexed(uint256)
    seller: indexed(address)
    id: indexed(uint256)
    amount: uint256
    price: uint256
    expires: uint256

event Bought:
    number: indexed(uint256)
    buyer: indexed(address)
    seller: indexed(address)
    id: uint256
    amount: uint256
    paid: uint256

event Cancelled:
    number: indexed(uint256)
    seller: indexed(address)
    id: uint256
    amount: uint256


@deploy
def __init__(certificate_: address, token_: address):
    """
    @notice Start without offers.
    @param certificate_ What is sold here.
    @param token_ An ERC-20: what it is paid in.
    """
    assert certificate_.is_contract, "exchange: certificate is not a contract"
    assert token_.is_contract, "exchange: token is not a contract"
    certificate = certificate_
    token = token_


@external
@nonreentrant
def offer(id: uint256, amount: uint256, price: uint256, expires: uint256) -> uint256:
    """
    @notice Offer units, which go into escrow. The seller must have approved this contract in the
            Certificate contract.
    @param id Which certificate.
    @param amount How many Wh.
    @param price Token units for one Wh.
    @param expires When the offer ends, UTC seconds.
    @return The offer's number.
    """
    assert price != 0 and price <= U64, "exchange: price is out of range"
    assert expires > block.timestamp and expires <= U32, "exchange: end is out of range"
    number: uint256 = self.count + 1
    self.count = number
    self.terms[number] = convert(msg.sender, uint256) << 96 | price << 32 | expires
    self.ids[number] = id
    log Offered(
        number=number, seller=msg.sender, id=id, amount=amount, price=price, expires=expires
    )
    extcall Certificate(certificate).reserve(msg.sender, number, id, amount)
    return number


@external
@nonreentrant
def buy(number: uint256, amount: uint256, most: uint256):
    """
    @notice Pay for units of an offer and get them. The buyer must have allowed this contract the
            payment in the token contract. Anybody but the seller may.
    @param number Which offer.
    @param amount How many Wh of it.
    @param most Most token units to be paid in all.
    """
    terms: uint256 = self.terms[number]
    seller: address = self._seller(terms)
    assert block.timestamp < terms & U32, "exchange: offer is over"
    assert msg.sender != seller, "exchange: offer is the buyer's own"
    paid: uint256 = amount * (terms >> 32 & U64)
    assert paid <= most, "exchange: costs more than the most"
    id: uint256 = self.ids[number]
    self._pay(msg.sender, seller, paid)
    log Bought(
        number=number, buyer=msg.sender, seller=seller, id=id, amount=amount, paid=paid
    )
    left: uint256 = extcall Certificate(certificate).release(
        seller, number, msg.sender, id, amount
    )
    if left == 0:
        self._forget(number)


@external
@nonreentrant
def cancel(number: uint256):
    """
    @notice End an offer; what is left goes back to the seller. The seller may at any time, and
            anybody once the offer is over.
    @param number Which offer.
    """
    terms: uint256 = self.terms[number]
    seller: address = self._seller(terms)
    assert (
        msg.sender == seller or terms & U32 <= block.timestamp
    ), "exchange: caller is not the seller"
    id: uint256 = self.ids[number]
    left: uint256 = self._left(seller, number, id)
    self._forget(number)
    log Cancelled(number=number, seller=seller, id=id, amount=left)
    # Of an offer whose units the issuer has withdrawn, nothing may be left.
    if left != 0:
        extcall Certificate(certificate).release(seller, number, seller, id, left)


@external
@view
def offer_of(number: uint256) -> Offer:
    """
    @notice An offer: seller, certificate, Wh left, token units for one Wh, and when it ends. Zeros
            for one that is sold, cancelled or was never made.
    """
    terms: uint256 = self.terms[number]
    if terms == 0:
        return empty(Offer)
    seller: address = self._seller(terms)
    id: uint256 = self.ids[number]
    return Offer(
        seller=seller,
        id=id,
        left=self._left(seller, number, id),
        price=terms >> 32 & U64,
        expires=terms & U32,
    )


@internal
@pure
def _seller(terms: uint256) -> address:
    """
    @notice Who makes an offer, if there is one.
    """
    assert terms != 0, "exchange: no such offer"
    return convert(convert(terms >> 96, uint160), address)


@internal
@view
def _left(seller: address, number: uint256, id: uint256) -> uint256:
    """
    @notice Wh that lie in an offer's escrow.
    """
    escrow: address = staticcall Certificate(certificate).escrow_of(self, seller, number)
    return staticcall Certificate(certificate).balanceOf(escrow, id)


@internal
def _forget(number: uint256):
    """
    @notice Free the slots of an offer that has ended.
    """
    self.terms[number] = 0
    self.ids[number] = 0


@internal
def _pay(buyer: address, seller: address, amount: uint256):
    """
    @notice Move the payment, all of it. Tokens that answer nothing are taken for having paid.
    """
    before: uint256 = staticcall IERC20(token).balanceOf(seller)
    paid: bool = extcall IERC20(token).transferFrom(
        buyer, seller, amount, default_return_value=True
    )
    assert paid, "exchange: token refused the payment"
    after: uint256 = staticcall IERC20(token).balanceOf(seller)
    assert after == before + amount, "exchange: token paid another amount"
