"""`datashop compile`: training steps and the encoder compiled for TPU slices, without a TPU."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

import click
import orjson

MODELS = ("400m", "1b", "8b")
ENCODERS = ("encoder-tuning", "encoder-scoring")
TOPOLOGIES = ("v6e:2x4", "v6e:8x16", "v6e:16x16")  # v6e-8, v6e-128, v6e-256
EXAMPLES = """\b
Examples:
  datashop compile --program 400m --topology v6e:2x4           one model on a v6e-8
  datashop compile --program 8b --topology v6e:16x16 --mesh fsdp=64,tensor=4
  datashop compile                                             all of them, an hour on two cores
"""


@click.command("compile", epilog=EXAMPLES)
@click.option("--program", "programs", type=click.Choice((*MODELS, *ENCODERS)), multiple=True, help="Default: all.")
@click.option("--topology", "topologies", metavar="NAME", multiple=True, help=f"Default: {', '.join(TOPOLOGIES)}.")
@click.option(
    "--mesh", metavar="AXES", help="Of a language model, such as fsdp=32,tensor=4. Default: fsdp, as far as it divides."
)
@click.option("--quick", is_flag=True, help="With the least optimization: memory and communication are not the best.")
def compile_for_tpus(programs: Sequence[str], topologies: Sequence[str], mesh: str | None, quick: bool) -> None:
    """Compile for TPU slices that are not at hand, with `libtpu` (`make libtpu`).

    A line of JSON for each: memory a chip, whether it fits, operations a step, and the communication that the compiler
    put in. The exit code is 1 if one does not fit.
    """
    from datashop_assets.tpu_compilation import compile_program, program, slice_devices

    fits = True
    for topology in topologies or TOPOLOGIES:
        for name in programs or (*MODELS, *ENCODERS):
            report = compile_program(program(name, slice_devices(topology), mesh), topology, quick=quick)
            fits &= report.fits
            click.echo(orjson.dumps(asdict(report)))
    sys.exit(0 if fits else 1)
