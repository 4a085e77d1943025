"""The verb that looks at this machine: what is installed and works; of what does not, which verbs miss it, and the
command that gets it.

It starts no server and fetches nothing. What is there may still not work: packages are imported, TeX draws a formula,
the embedded model reads one.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Any

from latexocr.cli import example
from latexocr.cli.installed import Finding, import_apart, outdated, package, packages, pip, reason, requirements
from latexocr.cli.options import Verb
from latexocr.errors import UserError
from latexocr.wording import counted

READ, TRAIN, UNSLOTH = "transcribe, bench", "train, export, data of a hub", "train through Unsloth, on a CUDA GPU"
SERVE, RAY, TEX = "serve, --engine vllm", "--engine ray", "data typeset, data audit, score --layout"
KATEX, ANY = "score --render", "all verbs"
NAMED = ("torch", "transformers")
"""Packages of `READ` that have a line of their own also where nothing is wrong with them."""
FONTS_FROM = "apt-get install texlive-fonts-extra texlive-fonts-recommended texlive-plain-generic lmodern"
"""Debian's packages, as `data/fonts.py` names them."""


@dataclass(frozen=True)
class Doctor:
    json: bool = False
    """Print everything as JSON."""


def doctor(options: Doctor) -> int:
    from latexocr.provenance import start

    with redirect_stdout(sys.stderr):  # Packages talk when they are imported.
        findings = [finding for check in CHECKS for finding in _looked(*check)]
        machine = start() | {"memory_gb": _memory()}  # At the end: torch, loaded by now, knows the GPU.
    faults = [finding.name for finding in findings if finding.needed and finding.state not in ("ok", "none")]
    if options.json:
        print(json.dumps({"transcribe_works": not faults, "machine": machine,
                          "findings": [asdict(finding) for finding in findings]}, indent=1, ensure_ascii=False))
    else:
        print(_screen(findings, machine))
        print(f"transcribe does not work here as it should: {', '.join(faults)}" if faults else "transcribe works here")
    return 1 if faults else 0


def _looked(verbs: str, name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; of one that misses a package, of which there is a finding too, that it could not look."""
    try:
        yield from look()
    except ImportError as e:
        yield Finding(verbs, name, "broken", f"not looked at ({reason(e)})")


def _screen(findings: Sequence[Finding], machine: Mapping[str, Any]) -> str:
    """The machine, and the findings under the verbs that need them."""
    commit = f" at {machine['commit'][:8]}{', changed' * machine['uncommitted_changes']}" if machine["commit"] else ""
    memory = f", {machine['memory_gb']} GB of memory" if machine["memory_gb"] else ""
    lines = [f"latexocr {machine['packages'].get('latexocr', 'not installed')}{commit}, Python {machine['python']}, "
             f"{machine['cpus']} x {machine['cpu']}{memory}"]
    for verbs in dict.fromkeys(finding.verbs for finding in findings):
        lines.append(verbs)
        group = list(_collapsed([finding for finding in findings if finding.verbs == verbs]))
        for one, after in zip(group, [*group[1:], None], strict=True):
            lines.append(f"  {one.state:<8} {one.name:<16} {one.found}")
            if one.get and not (after and after.get == one.get):  # One command for all that it gets.
                lines.append(f"{'':28}{one.get}")
    return "\n".join(lines)


def _collapsed(group: Sequence[Finding]) -> Iterator[Finding]:
    """The findings, with one in place of the packages that reading needs and with which nothing is wrong."""
    needed = {wanted.name for wanted in requirements()} - {*NAMED}
    plain = [one for one in group if one.verbs == READ and one.state == "ok" and one.name in needed]
    for one in group:
        if one in plain[:1]:
            yield replace(one, name=counted(len(plain), "package"), found=", ".join(each.name for each in plain))
        elif one not in plain:
            yield one


def _reading() -> Iterator[Finding]:
    """This package, the packages that reading needs, the embedded model, the GPU."""
    yield _itself()
    yield from packages(READ)
    yield _model()
    yield _gpu()


def _itself() -> Finding:
    """Whether this package is installed, for this Python, and what its metadata say is what its source says."""
    clone = Path(__file__).parents[2]
    try:
        told = metadata.metadata("latexocr")
    except metadata.PackageNotFoundError:
        return Finding(READ, "latexocr", "missing", "not installed: what it wants of others is unknown",
                       pip("-e", str(clone)))
    found = Finding(READ, "latexocr", "ok", f"{told['Version']}, wants Python {told['Requires-Python']}")
    if outdated(clone / "pyproject.toml"):
        return found.broken(f"installed before {clone / 'pyproject.toml'} was changed", pip("-e", str(clone)))
    return found


def _model() -> Finding:
    """Whether the embedded model reads a picture rightly, how soon, and the hash by which records of runs name it."""
    name, began = "embedded model", monotonic()
    try:
        from latexocr.bench.folder import fingerprint
        from latexocr.model import LatexOCRModel
        from latexocr.reading.inputs import resolve

        digest = fingerprint(resolve("builtin"))
        model = LatexOCRModel.load("builtin")
        loaded = monotonic()
        answer = model.transcribe(example.picture()).latex
    except Exception as e:  # That it does not read is the finding, whatever the reason.
        return Finding(READ, name, "broken", reason(e), needed=True)
    numbers = str(model.reader.model.dtype).removeprefix("torch.")
    took = f"loaded in {loaded - began:.1f} s, read in {monotonic() - loaded:.2f} s ({numbers}); sha256 {digest[:12]}"
    if answer != example.FORMULA:
        return Finding(READ, name, "broken", f"reads {example.FORMULA} as {answer!r}; {took}", needed=True)
    return Finding(READ, name, "ok", f"reads {example.FORMULA} rightly; {took}", needed=True)


def _gpu() -> Finding:
    """The GPU that torch uses; one that only the driver sees is a fault of the installation."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return Finding(READ, "GPU", "ok", f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}, "
                       f"{free / 1e9:.0f} of {total / 1e9:.0f} GB free, CUDA {torch.version.cuda}")
    if torch is not None and torch.backends.mps.is_available():
        return Finding(READ, "GPU", "ok", "Apple's, through MPS")
    if torch is not None and (seen := _driver()):
        return Finding(READ, "GPU", "broken", f"the driver sees {seen}, which torch {torch.__version__} cannot use",
                       pip("--force-reinstall", f"torch=={torch.__version__.partition('+')[0]}"))
    return Finding(READ, "GPU", "none", "none, so models run on the CPU")


def _driver() -> int:
    """How many GPUs the driver of NVIDIA sees."""
    try:
        told = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in told.splitlines())


def _training() -> list[Finding]:
    return packages(TRAIN, "train")


def _unsloth() -> Iterator[Finding]:
    """Unsloth, with what it wants of other packages. It is started where it is used, on a CUDA GPU."""
    torch, get = sys.modules.get("torch"), pip("latexocr[unsloth]")
    parts = {wanted.name: package(UNSLOTH, wanted, get) for wanted in requirements("unsloth")}
    if (own := parts.pop("unsloth", None)) is None:
        return
    wrong = [f"{one.name} {one.found}" for one in parts.values() if one.state != "ok"]
    if own.state != "ok":
        yield own
    elif wrong:
        yield own.broken("; ".join(wrong), get)
    elif torch is None or not torch.cuda.is_available():
        yield replace(own, found=f"{own.found}; not started, without a CUDA GPU")
    else:
        with tempfile.TemporaryDirectory() as folder:
            why = import_apart(sys.executable, "unsloth", UNSLOTH_DISABLE_STATISTICS="1",
                               UNSLOTH_COMPILE_LOCATION=folder)
        yield own.broken(f"does not start ({why})", get) if why else own


def _vllm() -> Iterator[Finding]:
    """The vLLM that `serve` would start: that of the interpreter in the variable PYTHON, or of this one."""
    from latexocr.reading.vllm import environment, find_build

    python = os.environ.get("PYTHON") or sys.executable
    for wanted in (one for one in requirements("serve") if one.name == "vllm"):
        get = f"python3 -m venv .venv-vllm && .venv-vllm/bin/pip install {shlex.quote(f'vllm{wanted.specifier}')}"
        try:
            build = find_build(python)
        except UserError as e:
            why = str(e).split(". ")[0].rstrip(".")
            yield Finding(SERVE, "vLLM", "missing", f"{why}; PYTHON=... names another", get)
            return
        found = Finding(SERVE, "vLLM", "ok", f"{build.name} {build.version}, wants {wanted.specifier}; of {python}")
        if build.version != "unknown" and not wanted.specifier.contains(build.version, prereleases=True):
            yield replace(found, state="broken", get=get)
        elif why := import_apart(python, "vllm", **environment(cpu=build.cpu)):
            yield found.broken(f"does not start ({why})", get)
        else:
            yield found


def _ray() -> list[Finding]:
    return [package(RAY, wanted, pip("latexocr[ray]")) for wanted in requirements("ray") if wanted.name == "ray"]


def _tex() -> Iterator[Finding]:
    """TeX, which draws a formula, and the fonts that it has."""
    from latexocr.data.fonts import FONTS, available_fonts
    from latexocr.data.typeset import typeset
    from latexocr.tex.run import INSTALL, version

    if absent := [program for program in ("latex", "kpsewhich", "dvipng") if not shutil.which(program)]:
        yield Finding(TEX, "TeX", "missing", f"not on the PATH: {', '.join(absent)}", INSTALL)
        return
    tex = Finding(TEX, "TeX", "ok", version())
    try:
        yield tex if typeset(["x^{2}"])[0] else tex.broken("does not draw x^{2}", INSTALL)
    except UserError as e:
        yield tex.broken(str(e), INSTALL)
    n = len(available_fonts())
    every = n == len(FONTS)
    yield Finding(TEX, "fonts", "ok" if every else "partly", f"{n} of {len(FONTS)} sets", "" if every else FONTS_FROM)


def _katex() -> Iterator[Finding]:
    from latexocr.scoring.katex import version

    try:
        yield Finding(KATEX, "KaTeX", "ok", version())
    except UserError as e:
        state = "broken" if shutil.which("katex") and shutil.which("node") else "missing"
        yield Finding(KATEX, "KaTeX", state, str(e).split(". ")[0], "apt-get install katex")


def _caches() -> Iterator[Finding]:
    """Where pictures and merged models are kept, and what a hub gave."""
    from latexocr.data.pictures import cache_folder

    yield _folder("cache", cache_folder().parent, "XDG_CACHE_HOME")
    from huggingface_hub.constants import HF_HUB_CACHE

    yield _folder("cache of hubs", Path(HF_HUB_CACHE), "HF_HOME")


def _folder(name: str, folder: Path, variable: str) -> Finding:
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        return Finding(ANY, name, "ok", f"{folder}, {shutil.disk_usage(there).free / 1e9:.0f} GB free")
    return Finding(ANY, name, "broken", f"{folder}: nothing can be written into {there}", f"export {variable}=FOLDER")


def _network() -> Iterator[Finding]:
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    asked = f"{ENDPOINT} is asked for models with --download, and for data named hf:"
    yield Finding(ANY, "network", "ok", "no hub is asked (HF_HUB_OFFLINE)" if HF_HUB_OFFLINE else asked)


def _memory() -> float | None:
    """Memory of this machine in GB (10^9 bytes)."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None


CHECKS = ((READ, "latexocr", _reading), (TRAIN, "packages", _training), (UNSLOTH, "unsloth", _unsloth),
          (SERVE, "vLLM", _vllm), (RAY, "ray", _ray), (TEX, "TeX", _tex), (KATEX, "KaTeX", _katex),
          (ANY, "cache of hubs", _caches), (ANY, "network", _network))
"""What is looked at: the verbs that need it, its name, and the check."""
VERBS = {"doctor": Verb("Say what is installed and works here, and how to get what is missing.", "latexocr doctor",
                        lambda: Doctor, doctor)}
