"""What the argument parser complains of, in words for who typed the call.

jsonargparse speaks of its own keys and of Python's types.
"""

import difflib
import re

KINDS = {
    "int": ["a whole number"],
    "float": ["a number"],
    "bool": ["true", "false"],
    "str": ["a text"],
    "NoneType": ["null"],
}
IN_HELP = {
    "int": ["whole number"],
    "float": ["number"],
    "bool": ["true", "false"],
    "str": ["text"],
    "<class 'Path'>": ["path"],
    "Path": ["path"],
    "list[str]": ["list"],
}
CHOICE = re.compile(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)")
EXPECTED = re.compile(r"Expected an? (?:<class '(\w+)'>|typing\.Literal\[(.*?)\])")


def in_plain_words(complaint: str) -> str:
    """Return a complaint with what was expected, what came and what to do; others as they are."""
    if lacking := re.match(r'expected "(?:([\w.-]+)\.)?subcommand" to be one of ({.*})', complaint):
        return f"which of {lacking[2]}? {_call(lacking[1] or '')} --help says what each does"
    if lacking := re.match(r"the following arguments are required: ([\w.-]+.*)", complaint):
        names = [name.rpartition(".") for name in lacking[1].split(", ")]
        command = names[0][0].replace(".", " ")
        needed = " and ".join(name for *_, name in names)
        return f"{command} needs {needed}; see: {_call(command)} --help"
    if file := re.match(r"(.*? is no configuration: )(.*)", complaint):
        return file[1] + in_plain_words(file[2])
    if unknown := re.match(r"\w+ '([\w.]+)' does not accept option '([\w.-]+)'", complaint):
        return f"a configuration file has what {unknown[1]} has not: option '{unknown[2]}'"
    if file := re.match(r"Parser key \"(\w+)\": Unable to load config '(.*?)'", complaint):
        return (
            f"--{file[1]} takes a YAML file, and {file[2]} is none that can be read; one setting "
            f"of it is given by its name, as --{file[1]}.NAME, and those of a recipe by the "
            "recipe's, as --config gpt-mini (--help lists both)"
        )
    if choice := CHOICE.match(complaint):
        name, value, choices = choice[1], choice[2], _choices(choice[3])
        if name.startswith("--"):
            return f"{name.removeprefix('--')} must be {_one_of(choices)}; got {value}"
        near = difflib.get_close_matches(value, choices, n=1)
        question = f"; is it {near[0]}?" if near else ""
        return f"there is no {name.lower()} '{value}'{question} (there are {', '.join(choices)})"
    if given := re.match(r'Parser key "([\w.-]+)": (.*)(?:Got|Given) value: (.*)$', complaint):
        key, types, value = given.groups()
        expected = EXPECTED.findall(types)
        if kinds := [name for kind, choices in expected for name in _kinds(kind, choices, value)]:
            return f"{key} must be {_one_of(kinds)}; got {value}{_written(value, types)}"
    return complaint


def type_in_words(python_type: str) -> str:
    """Return a type that the help shows in Python's words, or "number | null", in ours."""
    if of := re.fullmatch(r"tuple\[(.*), \.\.\.\]", python_type):
        return f"list of {type_in_words(of[1])}"
    words: list[str] = []
    for kind in python_type.split(" | "):
        choices = re.fullmatch(r"Literal\[(.*)\]", kind)
        words += _choices(choices[1]) if choices else IN_HELP.get(kind, [kind])
    return _one_of(words)


def _call(path: str) -> str:
    """Return how the command with this dotted path is called."""
    return " ".join(["transformer", *path.split(".")]).rstrip()


def _kinds(python_type: str, choices: str, value: str) -> list[str]:
    """Return the choices of a Literal as Python writes them, or in words a type's name."""
    if choices:
        return _choices(choices)
    return KINDS.get(python_type, [f"a list, such as '[{value}]'"])


def _choices(literal: str) -> list[str]:
    return literal.replace("'", "").split(", ")


def _one_of(words: list[str]) -> str:
    others = ", ".join(words[:-1])
    return f"{others} or {words[-1]}" if others else words[-1]


def _written(value: str, types: str) -> str:
    """Return how a number is written that YAML takes for something else, such as a text."""
    if "'int'" in types and re.fullmatch(r"[+-]?\d+\.?\d*(e\+?\d{1,2})?", value, re.IGNORECASE):
        whole = float(value).is_integer()
        return f": write {float(value):.0f}" if whole else ""
    if "'float'" not in types or not re.fullmatch(r"[+-]?(inf|infinity|nan)", value, re.IGNORECASE):
        return ""
    name = value.lstrip("+-").lower()[:3]
    sign = "-" if value.startswith("-") and name == "inf" else ""
    return f", which is a text: the number is written {sign}.{name}"
