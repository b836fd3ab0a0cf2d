"""python3 -m textkit COMMAND TEXT…"""

import argparse

from textkit import most_common, shorten, slugify


def main():
    parser = argparse.ArgumentParser(prog="textkit")
    commands = parser.add_subparsers(dest="command", required=True)
    slug = commands.add_parser("slug", help="a title as a part of an URL")
    slug.add_argument("text", nargs="+")
    slug.add_argument("--max-length", type=int, default=0)
    short = commands.add_parser("shorten", help="text cut to a width")
    short.add_argument("text", nargs="+")
    short.add_argument("--width", type=int, default=72)
    count = commands.add_parser("count", help="the most frequent words")
    count.add_argument("text", nargs="+")
    count.add_argument("-n", type=int, default=10)
    arguments = parser.parse_args()
    text = " ".join(arguments.text)
    if arguments.command == "slug":
        print(slugify(text, arguments.max_length))
    elif arguments.command == "shorten":
        print(shorten(text, arguments.width))
    else:
        for word, times in most_common(text, arguments.n):
            print(f"{times:5} {word}")


if __name__ == "__main__":
    main()
