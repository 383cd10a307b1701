"""What the argument parser complains of, in words for who typed the call.

jsonargparse speaks of its own keys and of Python's types.
"""

import re

KINDS = {
    "int": ["a whole number"],
    "float": ["a number"],
    "bool": ["true", "false"],
    "str": ["a text"],
    "NoneType": ["null"],
}
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
    if file := re.match(r"Parser key \"(\w+)\": Unable to load config '(.*?)'", complaint):
        return (
            f"--{file[1]} takes a YAML file, and {file[2]} is none that can be read; "
            f"one setting of it is given by its name, as --{file[1]}.NAME"
        )
    if given := re.match(r'Parser key "([\w.-]+)": (.*?)(?:Got|Given) value: (.*)$', complaint):
        key, types, value = given.groups()
        expected = EXPECTED.findall(types)
        if kinds := [name for kind, choices in expected for name in _kinds(kind, choices, value)]:
            others = ", ".join(kinds[:-1])
            return f"{key} must be {others and f'{others} or '}{kinds[-1]}; got {value}"
    return complaint


def _call(path: str) -> str:
    """Return how the command with this dotted path is called."""
    return " ".join(["transformer", *path.split(".")]).rstrip()


def _kinds(python_type: str, choices: str, value: str) -> list[str]:
    """Return the choices of a Literal as Python writes them, or in words a type's name."""
    if choices:
        return choices.replace("'", "").split(", ")
    return KINDS.get(python_type, [f"a list, such as '[{value}]'"])
