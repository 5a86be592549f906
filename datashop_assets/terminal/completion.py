"""`datashop completion`: the line that makes a shell complete commands, prompts and stages."""

import click
from click.shell_completion import get_completion_class

PROGRAM, VARIABLE = "datashop", "_DATASHOP_COMPLETE"
EXAMPLES = """\b
Examples:
  eval "$(datashop completion bash)"         in ~/.bashrc
  eval "$(datashop completion zsh)"          in ~/.zshrc
  datashop completion fish | source          in ~/.config/fish/config.fish
"""


@click.command(epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete `datashop`."""
    made = get_completion_class(shell)
    assert made is not None, "click knows these three"
    click.echo(made(context.find_root().command, {}, PROGRAM, VARIABLE).source())
