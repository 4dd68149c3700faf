"""Scripts by which shells complete the commands of jobs, written from the parsers of these commands."""

import shlex
from argparse import Action
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.core.management import get_commands, load_command_class

_MADE_BY: Final = "# Completes the commands of jobs. Written by: manage.py queue_completion"


@dataclass(frozen=True, slots=True)
class Option:
    """One option, or argument, of a command."""

    #: ``--sort``; empty for an argument that stands by its place.
    names: Sequence[str]
    words: str
    takes_value: bool
    #: What may be said; empty: anything.
    choices: Sequence[str]


@dataclass(frozen=True, slots=True)
class CommandWords:
    """What can be said to one command."""

    name: str
    words: str
    options: Sequence[Option]

    def list_words(self) -> list[str]:
        """Return what may stand anywhere behind its name."""
        names = [name for option in self.options for name in option.names]
        return names + [choice for option in self.options if not option.names for choice in option.choices]


def list_command_words() -> list[CommandWords]:
    """Return the commands of jobs by name."""
    return [_read(name) for name, app in sorted(get_commands().items()) if app == "jobs"]


def _read(name: str) -> CommandWords:
    command = load_command_class("jobs", name)
    actions = command.create_parser("manage.py", name)._actions  # noqa: SLF001 - argparse tells them nowhere else
    first_line = (command.__doc__ or "").strip().splitlines()[0]
    return CommandWords(name, first_line, [_to_option(action) for action in actions])


def _to_option(action: Action) -> Option:
    return Option(
        names=action.option_strings,
        words=(action.help or "").split(";")[0].rstrip("."),
        takes_value=action.nargs != 0,
        choices=[str(choice) for choice in action.choices or ()],
    )


# --- Bash

_BASH: Final = """\
{made_by} bash
_gatehouse_jobs() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} command="" words="" place
    COMPREPLY=()
    for ((place = 0; place < COMP_CWORD; place++)); do
        [[ ${{COMP_WORDS[place]}} == manage.py || ${{COMP_WORDS[place]}} == */manage.py ]] && break
    done
    ((place < COMP_CWORD)) || return 0
    if ((place + 1 == COMP_CWORD)); then
        words="{commands}"
    else
        command=${{COMP_WORDS[place + 1]}}
        [[ $word == "=" ]] && word=""
        [[ $previous == "=" ]] && previous=${{COMP_WORDS[COMP_CWORD - 2]}}
        case "$command $previous" in
{values}
        *)
            case "$command" in
{options}
            esac
            ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o default -F _gatehouse_jobs manage.py python python3
"""


def to_bash(commands: Sequence[CommandWords]) -> str:
    """Return the script of Bash; ``python manage.py`` is completed as well."""
    values = [
        f'        {_list_cases(command, option)}) words="{" ".join(option.choices)}" ;;'
        for command in commands
        for option in command.options
        if option.names and option.takes_value
    ]
    options = [f'            {command.name}) words="{" ".join(command.list_words())}" ;;' for command in commands]
    return _BASH.format(
        made_by=_MADE_BY,
        commands=" ".join(command.name for command in commands),
        values="\n".join(values),
        options="\n".join(options),
    )


def _list_cases(command: CommandWords, option: Option) -> str:
    return "|".join(f'"{command.name} {name}"' for name in option.names)


# --- Zsh


def to_zsh(commands: Sequence[CommandWords]) -> str:
    """Return the script of Zsh."""
    return "\n".join(_write_zsh(commands)) + "\n"


def _write_zsh(commands: Sequence[CommandWords]) -> Iterator[str]:
    yield "#compdef manage.py"
    yield f"{_MADE_BY} zsh"
    yield "_gatehouse_jobs() {"
    yield "    local -a names=("
    for command in commands:
        yield f"        {shlex.quote(f'{command.name}:{command.words}')}"
    yield "    )"
    yield "    if ((CURRENT == 2)); then _describe command names; return; fi"
    yield "    local name=$words[2]"
    yield "    shift words; ((CURRENT--))"
    yield "    case $name in"
    for command in commands:
        yield f"        {command.name}) _arguments \\"
        for option in command.options:
            yield from (f"            {shlex.quote(spec)} \\" for spec in _list_zsh_specs(option))
        yield "            && return ;;"
    yield "    esac"
    yield "}"
    yield "compdef _gatehouse_jobs manage.py"


def _list_zsh_specs(option: Option) -> Iterator[str]:
    choices = f"({' '.join(option.choices)})" if option.choices else ""
    words = "".join(f"\\{letter}" if letter in "[]:\\" else letter for letter in option.words)
    if not option.names:
        yield f"*:value:{choices}"
    for name in option.names:
        yield f"{name}[{words}]" + (f":value:{choices}" if option.takes_value else "")


# --- Fish


def to_fish(commands: Sequence[CommandWords]) -> str:
    """Return the script of fish."""
    return "\n".join(_write_fish(commands)) + "\n"


def _write_fish(commands: Sequence[CommandWords]) -> Iterator[str]:
    yield f"{_MADE_BY} fish"
    yield "complete -c manage.py -f"
    for command in commands:
        first = "complete -c manage.py -n __fish_use_subcommand"
        yield f"{first} -a {command.name} -d {_quote_for_fish(command.words)}"
        for option in command.options:
            behind = f"complete -c manage.py -n '__fish_seen_subcommand_from {command.name}'"
            choices = f" -a '{' '.join(option.choices)}'" if option.choices else ""
            names = "".join(f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in option.names)
            value = " -x" if option.takes_value and option.names else ""
            if names or choices:
                yield f"{behind}{names}{value}{choices} -d {_quote_for_fish(option.words)}"


def _quote_for_fish(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


#: What writes the script of each shell.
WRITERS: Final[Mapping[str, Callable[[Sequence[CommandWords]], str]]] = {
    "bash": to_bash,
    "zsh": to_zsh,
    "fish": to_fish,
}
