"""`commonwatt`: the commands, and how errors reach a person.

Everything heavy is imported inside the command that needs it, so that `--help` and `verify` answer
at once.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from commonwatt import __version__
from commonwatt.cli.certificate import certificate_app
from commonwatt.cli.gateway import gateway_app
from commonwatt.cli.node_commands import doctor, init
from commonwatt.errors import CommonwattError, InputError

EXIT_FALSE, EXIT_UNDECIDED, EXIT_INTERRUPTED = 1, 2, 130
DEMO_FOLDER = Path("commonwatt-demo")

app = App(
    name="commonwatt",
    version=__version__,
    suppress_keyboard_interrupt=False,  # `run` says so in one line
    help="An open energy ledger: signed meters, local markets, instant payment, certificates.",
)
meter = App(name="meter", help="Keys, and records signed with them.")
app.command(meter)
market_app = App(name="market", help="Auctions, shares and prices, without meters or a chain.")
app.command(market_app)
app.command(certificate_app)
chain_app = App(name="chain", help="The embedded chain of a run, for wallets and other programs.")
app.command(chain_app)
app.command(gateway_app)
app.command(init)
app.command(doctor)


@app.command
def demo(
    *,
    scenario: Literal["village", "suburb", "town"] | None = None,
    days: int | None = None,
    start: str | None = None,
    homes: Path | None = None,
    rule: str | None = None,
    market: Path | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    chain: str | None = None,
    key: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a real neighbourhood's day: signed meters, local market, payment, certificates, audit.

    Args:
        scenario: One of the neighbourhoods that ship with the program; suburb unless given.
        days: How many days; one for a scenario, all from the first on for a file.
        start: First day, as 2016-06-21.
        homes: A CSV file (or .csv.gz) of home, interval_start, load_kwh, pv_kwh, instead of a
            scenario.
        rule: How neighbours trade: a rule, an auction or an allocation key, by its name;
            mid_market_rate unless given.
        market: A TOML file with a rule and all that goes with it, instead of --rule.
        out: Where everything is kept and published; commonwatt-demo unless given.
        resume: Go on with the run in this directory, after a crash or a full disk.
        chain: JSON-RPC URL of an Ethereum-type chain; the embedded one unless given.
        key: File with the operator's private key, 64 hex digits; needed with --chain.
        json: Print one JSON object instead of the summary.
    """
    from commonwatt.cli.demo import DemoOptions, run_demo  # noqa: PLC0415 - heavy

    options = DemoOptions(scenario, days, start, homes, rule, market, chain, key)
    try:
        return run_demo(options, out, resume, as_json=json)
    except KeyboardInterrupt:
        kept = resume or out or DEMO_FOLDER
        if not kept.is_dir():
            raise
        _say(f"interrupted; the run goes on with commonwatt demo --resume {shlex.quote(str(kept))}")
        return EXIT_INTERRUPTED


@app.command(name="serve")
def serve_node(
    folder: Path,
    /,
    *,
    log_level: Literal["debug", "info", "warning", "error"] = "info",
    log_json: Annotated[bool, Parameter(negative="")] = False,
    workers: int = 1,
    worker: int | None = None,
    demo: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Keep a node's communities day and night: take records in, close, pay, answer.

    Ends at a signal (Ctrl-C), after writing out what it published.

    Args:
        folder: The node's directory, as commonwatt init makes it.
        log_level: What is worth a line on standard error.
        log_json: Write log lines as JSON objects.
        workers: Processes that share the communities out, each at a port of its own from the
            node's on.
        worker: Be only this one of the workers, from 0 on; all of them are started unless given.
        demo: Make a village there if there is none, and let simulated meters speak for it.
    """
    from commonwatt.node.service.share import share_of  # noqa: PLC0415 - heavy

    if demo and (workers, worker) == (1, None):
        from commonwatt.cli.serve_demo import run_demo  # noqa: PLC0415 - heavy

        return run_demo(folder, log_level, as_json=log_json)
    if demo:
        raise InputError("--demo serves one village: leave --workers and --worker away")
    share = share_of(worker or 0, workers)
    if workers > 1 and worker is None:
        from commonwatt.cli.serve_workers import run_workers  # noqa: PLC0415 - heavy

        return run_workers(folder, log_level, as_json=log_json, workers=workers)
    from commonwatt.cli.serve import run_serve  # noqa: PLC0415 - heavy

    return run_serve(folder, log_level, as_json=log_json, share=share)


@app.command
def audit(
    folder: Path,
    /,
    *,
    certificates: Annotated[bool, Parameter(negative="")] = False,
    chain: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Recompute everything published in a directory and compare it with the chain.

    Exit code 0: all agrees; 1: the first difference is printed; 2: it cannot be decided.

    Args:
        folder: The directory of a run, with public, members and audit in it.
        certificates: Do every entry of the book of certificates again, too, and print all units,
            retirements and hourly scores by account.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.audit import run_audit  # noqa: PLC0415 - heavy

    return run_audit(folder, chain, certificates=certificates, as_json=json)


@app.command
def verify(proof: Path, /, *, anchor: str | None = None) -> int:
    """Check a proof: do its leaves lead to the anchor? Needs no node and no chain client.

    Exit code 0: true; 1: false; 2: it cannot be decided.

    Args:
        proof: A proof, or a member's file of one day with a proof in each line.
        anchor: The anchor on the chain, 64 hex digits, to compare with.
    """
    from commonwatt.cli.verify import run_verify  # noqa: PLC0415 - only this command needs it

    return run_verify(proof, anchor)


@app.command
def proof(folder: Path, /, *, member: int, at: str, out: Path | None = None) -> int:
    """Take one member's proof of one interval out of a published directory.

    Args:
        folder: The directory of a run.
        member: The member's index.
        at: Start of the interval, as 2016-06-21T12:00:00Z.
        out: Where to write it; printed unless given.
    """
    from commonwatt.cli.verify import run_proof  # noqa: PLC0415 - only this command needs it

    return run_proof(folder, member, at, out)


@app.command
def anchor(folder: Path, /, *, at: str, chain: str | None = None) -> int:
    """Ask the chain for the anchor of one interval, to compare a proof with.

    Args:
        folder: The directory of a run.
        at: Start of the interval, as 2016-06-21T12:00:00Z.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
    """
    from commonwatt.cli.audit import run_anchor  # noqa: PLC0415 - heavy

    return run_anchor(folder, at, chain)


@chain_app.command
def serve(
    folder: Path, /, *, port: int = 8545, host: str = "127.0.0.1", origin: str | None = None
) -> int:
    """Answer JSON-RPC over HTTP from a run's embedded chain, until Ctrl-C or SIGTERM.

    Args:
        folder: The directory of a run.
        port: Where to listen; 0: any port that is free.
        host: At which address or name of this machine.
        origin: Let web pages of this origin ask, too, as https://example.org; none may unless
            given.
    """
    from commonwatt.cli.chain import run_serve  # noqa: PLC0415 - heavy

    return run_serve(folder, host, port, origin)


@meter.command
def keygen(file: Path, /) -> int:
    """Make a meter's key and write it to FILE, readable by its owner only."""
    from commonwatt.cli.meter import run_keygen  # noqa: PLC0415 - only this command needs it

    return run_keygen(file)


@meter.command
def sign(
    *,
    key: Path,
    ledger: str,
    sequence: int,
    time_end: str,
    import_mwh: int,
    export_mwh: int,
    duration: int = 900,
    previous: str = "0" * 64,
) -> int:
    """Sign one record and print it with its signature as JSON.

    Args:
        key: The meter's key file, from `commonwatt meter keygen`.
        ledger: The ledger's id, 16 hex digits.
        sequence: 0 for the opening record, then one more each time.
        time_end: End of the interval, as 2016-06-21T12:15:00Z.
        import_mwh: Register 1.8.0 in mWh.
        export_mwh: Register 2.8.0 in mWh.
        duration: Length of the interval in seconds.
        previous: SHA-256 of the record before, 64 hex digits.
    """
    from commonwatt.cli.meter import SignOptions, run_sign  # noqa: PLC0415 - as above

    return run_sign(
        SignOptions(key, ledger, sequence, time_end, import_mwh, export_mwh, duration, previous)
    )


@meter.command(name="verify")
def meter_verify(file: Path, /, *, public_key: str | None = None) -> int:
    """Check a signed record's signature and print what it says.

    Exit code 0: genuine; 1: not; 2: it cannot be decided.

    Args:
        file: A signed record as `commonwatt meter sign` prints it.
        public_key: The key it must be signed with, 128 hex digits; the one in the file unless
            given.
    """
    from commonwatt.cli.meter import run_verify  # noqa: PLC0415 - only this command needs it

    return run_verify(file, public_key)


@meter.command
def simulate(
    *,
    to: str,
    community: str,
    scenario: Literal["village", "suburb", "town"] = "suburb",
    speed: float = 900.0,
    days: int = 1,
    start: str | None = None,
    node: str | None = None,
    state: Path | None = None,
) -> int:
    """Let a scenario's meters sign and send their records to a node, for trying it.

    They are the meters of `commonwatt demo`, so their days must come to the same roots. Exit code
    0: all records were taken; 1: the node refused some.

    Args:
        to: The node, as http://HOST:PORT, or its broker, as mqtt://HOST:PORT.
        community: Its name at the node.
        scenario: One of the neighbourhoods that ship with the program.
        speed: Simulated seconds in one second; 0: as fast as the node answers.
        days: How many days.
        start: First day, as 2016-06-21.
        node: The node's http address, to ask for the ledger; the one of --to unless given.
        state: File that remembers what was answered, to go on with the same command.
    """
    from commonwatt.cli.meter import SimulateOptions, run_simulate  # noqa: PLC0415 - as above

    return run_simulate(SimulateOptions(scenario, start, days, speed, to, node, community, state))


@market_app.command
def clear(book: Path, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Clear an order book: who trades what with whom, at which price.

    Args:
        book: A JSON file with orders and, if not the usual, the rule.
        json: Print one JSON object.
    """
    from commonwatt.cli.market_book import run_clear  # noqa: PLC0415 - heavy

    return run_clear(book, as_json=json)


@market_app.command
def share(pool: Path, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Share a community's energy by an allocation key: who gets how much of it.

    Args:
        pool: A JSON file with the key, its members, and what a common plant made.
        json: Print one JSON object.
    """
    from commonwatt.cli.market_pool import run_share  # noqa: PLC0415 - heavy

    return run_share(pool, as_json=json)


@market_app.command
def price(community: Path, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Compute a community's price: what buyers pay and sellers receive on average.

    Args:
        community: A JSON file with the rule, the prices around, and the energy made and used.
        json: Print one JSON object.
    """
    from commonwatt.cli.market_pool import run_price  # noqa: PLC0415 - heavy

    return run_price(community, as_json=json)


@market_app.command
def show(book: Path, /, *, svg: Path) -> int:
    """Draw an order book: supply and demand, where they meet, and what is gained.

    Args:
        book: A JSON file as for `commonwatt market clear`.
        svg: Where to write the picture.
    """
    from commonwatt.cli.market_book import run_show  # noqa: PLC0415 - heavy

    return run_show(book, svg)


def run() -> None:
    """The entry point: exit codes, and errors as one line without a traceback."""
    try:
        code = app(result_action="return_value", exit_on_error=False, print_error=False)
    except InputError as error:
        code = _say(str(error))
    except CommonwattError as error:
        code = _say(f"{error}; this is a defect of the program, nothing more was written")
    except KeyboardInterrupt:
        _say("interrupted")
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_UNDECIDED
    except OSError as error:
        code = _say(f"{error.filename or 'a file'}: {error.strerror}; nothing was half-written")
    except CycloptsError as error:
        words = " ".join(str(error).split())
        code = _say(f"{words} See commonwatt --help.")
    sys.exit(code if isinstance(code, int) else 0)


def _say(message: str) -> int:
    print(f"commonwatt: {message}", file=sys.stderr)
    return EXIT_UNDECIDED


if __name__ == "__main__":
    run()
