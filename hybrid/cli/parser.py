"""The arguments of every command."""

from __future__ import annotations

import argparse

from hybrid.version import __version__

_CORPUS = (
    "a .jsonl(.gz), .csv or .tsv file of ids and texts, a BEIR folder, any other file or folder of files "
    "(text, HTML, PDF, DOCX, EPUB, tables, mail, source code: docs/files.md), python:stdlib, python:PACKAGE, "
    "or a published collection: ir_datasets:NAME, hf:OWNER/NAME, mteb:TASK"
)
_QUERIES = "queries.jsonl(.gz), a .tsv of id and text, a .txt, or a published collection"
_QRELS = "judgements, in TREC's form or BEIR's, or a published collection"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``hybrid``."""
    parser = argparse.ArgumentParser(
        prog="hybrid",
        description="Search that finds both meaning and exact strings.",
        epilog="Exit codes: 0 done, 2 wrong use, 1 anything else.",
    )
    parser.add_argument("--version", action="version", version=f"hybrid {__version__}")
    parser.add_argument("--debug", action="store_true", help="show a traceback when something fails")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _writing(commands)
    _syncing(commands)
    _searching(commands)
    _evaluating(commands)
    _keeping(commands)
    _serving(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help: str, index: bool = True
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    if index:
        parser.add_argument("index", metavar="INDEX", help="the index's folder")
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _writing(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    create = _command(commands, "create", "create an index from a corpus")
    create.add_argument("corpus", metavar="CORPUS", help=_CORPUS)
    create.add_argument("--recipe", metavar="R", help="a TOML recipe (default: BM25 and MiniLM, fused)")
    create.add_argument("--overwrite", action="store_true", help="replace an index that is there")
    add = _command(commands, "add", "add a corpus to an index")
    add.add_argument("corpus", metavar="CORPUS", help=_CORPUS)
    add.add_argument("--update", action="store_true", help="replace documents whose ids are there")
    delete = _command(commands, "delete", "delete documents, by id or by a filter")
    delete.add_argument("ids", metavar="ID", nargs="*", help="ids of documents")
    delete.add_argument("--where", metavar="JSON", help='a filter, such as \'{"year": {"$lt": 2000}}\'')
    delete.add_argument("--missing-ok", action="store_true", help="skip ids that are not in the index")


def _syncing(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sync = _command(commands, "sync", "make an index hold a folder's files as they are now")
    sync.epilog = "Patterns are those of .gitignore, such as '*.md', 'docs/' or '/drafts/**'."
    add = sync.add_argument
    add("folder", metavar="FOLDER", help="the folder; the index is created if there is none")
    add("--recipe", metavar="R", help="a TOML recipe for a new index (default: BM25 and MiniLM, fused)")
    add("--name", metavar="N", help="what ids begin with (default: the folder's own name)")
    add("--include", metavar="PATTERN", action="append", default=[], help="only files that match; repeatable")
    add("--exclude", metavar="PATTERN", action="append", default=[], help="no files that match; repeatable")
    add("--hidden", action="store_true", help="also files whose names begin with a dot")
    add("--no-gitignore", action="store_true", help="also files that a .gitignore names")
    add("--verify-contents", action="store_true", help="open every file, whatever its size and time say")
    add("--allow-empty", action="store_true", help="remove everything if the folder is empty")
    add("--dry-run", action="store_true", help="only say what would be done")
    add("--watch", action="store_true", help="go on, and sync after every change, until Ctrl-C")
    add("--interval", type=_seconds, metavar="S", help="look every S seconds, without the system's messages")
    add("--json", action="store_true", help="print JSON, for programs: an object for each sync")


def _searching(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    search = _command(commands, "search", "search an index")
    search.add_argument("query", metavar="QUERY", nargs="?", help="what to search for (default: a prompt)")
    search.add_argument("-k", type=_positive, default=10, metavar="N", help="how many hits (default 10)")
    search.add_argument("--explain", action="store_true", help="show why each hit ranks where it does")
    search.add_argument("--json", action="store_true", help="print JSON, for programs")
    run = _command(commands, "run", "search for many queries and write a TREC run file")
    run.add_argument("queries", metavar="QUERIES", help=_QUERIES)
    run.add_argument("-k", type=_positive, default=1000, metavar="N", help="hits a query (default 1000)")
    run.add_argument("-o", "--output", required=True, metavar="RUN", help="the run file to write")
    run.add_argument("--qrels", metavar="QRELS", help="run only the queries that are judged in this file")
    run.add_argument("--tag", metavar="TAG", help="the run's tag (default: the recipe's name)")
    for parser in (search, run):
        parser.add_argument("--where", metavar="JSON", help='a filter, such as \'{"year": {"$gte": 2024}}\'')
        parser.add_argument("--branches", metavar="A,B", help="search only these branches")
        parser.add_argument("--recipe", metavar="R", help="search with this recipe instead of the stored one")


def _evaluating(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    eval = _command(commands, "eval", "measure run files, of any system, and compare them", index=False)
    eval.add_argument("qrels", metavar="QRELS", help=_QRELS)
    eval.add_argument("runs", metavar="RUN", nargs="+", help="a TREC run file, or BEIR's .json")
    eval.add_argument(
        "-m", "--measures", metavar="M", nargs="+", default=["nDCG@10"], help="such as nDCG@10 R@100 AP RR"
    )
    eval.add_argument("--compare", action="store_true", help="test every difference for significance")
    eval.add_argument("--baseline", metavar="NAME", help="compare each run with this one only")
    eval.add_argument("--by-query", action="store_true", help="show every query's values")
    eval.add_argument("--json", action="store_true", help="print JSON, for programs")

    diagnose = _command(commands, "diagnose", "show what each branch knows, and what fusing could win")
    tune = _command(commands, "tune", "choose branches, weights, parameters, with or without judgements")
    tune.epilog = "Without QUERIES and QRELS, weights are chosen on queries made from the collection itself."
    for parser, needed in ((diagnose, None), (tune, "?")):
        parser.add_argument("queries", metavar="QUERIES", nargs=needed, help=_QUERIES)
        parser.add_argument("qrels", metavar="QRELS", nargs=needed, help=_QRELS)
        parser.add_argument("-m", "--measure", metavar="M", default="nDCG@10", help="(default nDCG@10)")
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    tune.add_argument("-o", "--output", required=True, metavar="RECIPE", help="the recipe to write")
    tune.add_argument("--recipe", metavar="R", help="tune this recipe, such as one with rerank stages")
    tune.add_argument(
        "--depth", type=_positive, default=200, metavar="N", help="candidates of each branch (default 200)"
    )
    tune.add_argument(
        "--folds", type=_positive, default=5, metavar="N", help="in cross-validation (default 5)"
    )
    tune.add_argument("--seed", type=int, default=0, metavar="N", help="for random numbers (default 0)")


def _keeping(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    stats = _command(commands, "stats", "show what is in an index")
    stats.add_argument("--json", action="store_true", help="print JSON, for programs")
    _command(commands, "optimize", "merge segments and win back the space of deleted documents")
    verify = _command(commands, "verify", "read every byte of an index and say what is damaged")
    verify.add_argument(
        "--deep", action="store_true", help="build branches from the texts again, and compare"
    )
    verify.add_argument("--json", action="store_true", help="print JSON, for programs")
    verify.epilog = "The exit code is 0 if every answer can be trusted, 1 if something is damaged."
    repair = _command(commands, "repair", "take what is damaged out of an index, and build again what can be")
    repair.add_argument("--json", action="store_true", help="print JSON, for programs")
    _moving(commands)
    models = _command(commands, "models", "list the models that need no configuration", index=False)
    models.add_argument("--markdown", action="store_true", help="print the page docs/models.md")


def _moving(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    backup = _command(commands, "backup", "copy an index, also while it is being changed, and check the copy")
    backup.add_argument("target", metavar="TARGET", help="a folder without an index")
    backup.add_argument("--link", action="store_true", help="link files instead of copying (one disk only)")
    restore = _command(commands, "restore", "make an index of a backup")
    restore.add_argument("backup", metavar="BACKUP", help="the folder of the backup, which stays")
    restore.add_argument("--overwrite", action="store_true", help="replace an index that is there")
    export = _command(commands, "export", "write every document as JSONL or Parquet")
    export.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="FILE",
        help="a .jsonl, .jsonl.gz or .parquet file (default: -, JSONL on standard output)",
    )
    export.add_argument(
        "--vectors",
        choices=["needed", "all", "none"],
        default="needed",
        help="those that no model can make again (default), all that are kept, or none",
    )
    import_ = _command(commands, "import", "add the documents of an export, with their vectors")
    import_.add_argument("file", metavar="FILE", help="a .jsonl, .jsonl.gz or .parquet file of hybrid export")
    import_.add_argument("--update", action="store_true", help="replace documents whose ids are there")


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number


def _serving(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = _command(commands, "serve", "serve indexes over HTTP, with a page to search them", index=False)
    serve.add_argument("index", metavar="INDEX", nargs="+", help="an index's folder, or NAME=FOLDER")
    serve.add_argument("--host", metavar="H", help="the address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, metavar="N", help="the port (default 8080; 0: any that is free)")
    serve.add_argument("--write", action="store_true", help="let callers change the indexes")
    serve.add_argument("--keys", metavar="FILE", help="the keys that callers need (`hybrid key` makes them)")
    serve.add_argument("--rate", type=float, metavar="N", help="requests a second of a caller (default: any)")
    serve.add_argument("--queue", type=_positive, metavar="N", help="searches that may wait (default 256)")
    serve.add_argument("--deadline", type=float, metavar="S", help="seconds a search may take (default 10)")
    serve.add_argument("--slow", type=float, metavar="S", help="seconds a client may dawdle (default 15)")
    serve.add_argument("--connections", type=_positive, metavar="N", help="at most (default 1000)")
    serve.add_argument(
        "--allow-host", metavar="H", action="append", default=[], help="a further name of this server"
    )
    serve.add_argument(
        "--allow-origin",
        metavar="URL",
        action="append",
        default=[],
        help="whose pages may ask (CORS)",
    )
    mcp = _command(commands, "mcp", "give indexes to an assistant as tools (MCP, over stdio)", index=False)
    mcp.add_argument("index", metavar="INDEX", nargs="+", help="an index's folder, or NAME=FOLDER")
    key = _command(commands, "key", "make a key for a server's callers, and show it once", index=False)
    key.add_argument("name", metavar="NAME", help="whose key it is")
    key.add_argument("--role", choices=("read", "write"), default="read", help="(default read)")
    key.add_argument("--file", metavar="FILE", required=True, help="the file of keys to add it to")


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number
