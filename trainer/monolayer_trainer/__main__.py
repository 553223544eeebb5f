"""Start the command line; kept apart from it so that worker processes, which import this module again, start fast."""


def main() -> None:
    """Run ``monolayer-train``."""
    from monolayer_trainer.cli.app import app

    app()


if __name__ == "__main__":
    main()
