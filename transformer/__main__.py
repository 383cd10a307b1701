"""The command line, as `python -m transformer` and as `transformer`."""

import signal


def run() -> None:
    """Run it; Ctrl-C before it is whole ends it, too, without a traceback."""
    try:
        from transformer.cli import main
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    try:
        main()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a late Ctrl-C: no traceback of Python's end


if __name__ == "__main__":
    run()
