"""`python -m dynamo.cli.replay CASE.json…`: answers of the engines to golden cases."""

import sys

from dynamo.golden.replay import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
