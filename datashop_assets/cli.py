"""The entry point `datashop`: its commands stand in `commands/`, one family a module.

Light: neither Dagster nor what builds need is imported before a command asks for it.
"""

import sys

import click

from datashop_assets.commands.compare import compare, tasks
from datashop_assets.commands.estimate import compile_for_tpus, estimate
from datashop_assets.commands.prompts import new_prompt, prompts
from datashop_assets.commands.prune import prune
from datashop_assets.commands.run import run, status
from datashop_assets.commands.setup import completion, data, doctor
from datashop_assets.commands.shared import print_traceback
from datashop_assets.commands.stopping import StoppableGroup
from datashop_assets.commands.ui import home, ui

EXAMPLES = """\b
Examples:
  datashop run mathematics                   make all that is missing or stale
  datashop run mathematics --until encoder   stop after the encoder
  datashop estimate mathematics              what it will cost, after asking about 200 documents
  datashop status --json                     what is there, for a machine to read
  datashop prompts check                     what is wrong with the prompt files
  datashop new-prompt                        write a prompt file
  datashop compare mathematics history       two prompts side by side
  datashop doctor                            what is wrong with this machine, and the fix
  datashop prune                             what no prompt needs any more, with sizes

\b
Exit codes:
  0  done    1  a run failed, or something bad was found    2  the command or a file must be corrected first
  130  stopped by Ctrl-C    143  by SIGTERM
"""


@click.group(
    cls=StoppableGroup,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="datashop-assets")
def main() -> None:
    """From a rubric to a filtered pretraining corpus, with error bars.

    Results are under DATASHOP_ROOT (default: datashop_root beside the code), prompt files under DATASHOP_PROMPTS
    (default: prompts), Dagster's own state under DAGSTER_HOME (default: dagster_home). NO_COLOR turns colour off.
    """
    sys.excepthook = print_traceback


for command in (
    *(run, status, prompts, new_prompt, estimate, compile_for_tpus, compare, tasks),
    *(data, doctor, completion, ui, home, prune),
):
    main.add_command(command)
