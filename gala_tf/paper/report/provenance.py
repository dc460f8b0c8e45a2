"""Where a report's numbers are from: every run, its flags, versions, time; and what was not run."""

from gala_tf import config
from gala_tf.paper import published
from gala_tf.paper.report import contents, lines, tables
from gala_tf.paper.report.page import Bullets, Heading, Paragraph, Table

COLUMNS = (
    "run",
    "network",
    "flags that differ",
    "images",
    "step of the weights",
    "training, s",
    "versions, sessions",
    "files missing",
)


def not_run_blocks(sections) -> list:
    """The paper's tables that no run belongs in, with their published numbers."""
    covered = {
        number
        for section in sections
        if section.lines
        for number in lines.paper_tables(section.info)
    }
    blocks = []
    for which in ((1, 3), (2,), (4,)):
        if covered.isdisjoint(which):
            title = published.document()["tables"][str(which[-1])]["title"]
            blocks += [
                Heading(3, f"{contents.table_names(which)}: {title}"),
                tables.paper_table(which, [], {}, {}, True, True, True),
            ]
    return [Heading(2, "Not run"), *blocks] if blocks else []


def provenance_blocks(sections) -> list:
    """Where everything is from: every run, its flags, versions and time."""
    blocks = [Heading(2, "Provenance")]
    # Versions are long and mostly the same: the tables have their numbers.
    versions = dict.fromkeys(_versions(run) for section in sections for run in section.runs)
    numbered = {text: f"v{i + 1}" for i, text in enumerate(versions)}
    for section in sections:
        runs, default = section.runs, config.Config()
        names = [n for n in config.names() if n == "seed" or n in lines.flags_of(runs[0].config)]
        differ = [n for n in names if len({str(getattr(run.config, n)) for run in runs}) > 1]
        shared = [
            f"--{name}={lines.flag_text(getattr(runs[0].config, name))}"
            for name in names
            if name not in differ and getattr(runs[0].config, name) != getattr(default, name)
        ]
        shards = sum(len(split.shards) for split in section.info.splits.values())
        blocks += [
            Heading(3, f"{section.info.name}, {section.split} split"),
            Paragraph(
                f"One data set: its {shards} shards' SHA-256 give {runs[0].data_set} in every run "
                f"below. Flags of all runs, where not the default: {' '.join(shared) or 'none'}."
            ),
            Table(COLUMNS, tuple(_row(run, differ, numbered[_versions(run)]) for run in runs)),
        ]
    words = tuple(f"{number}: {text}" for text, number in numbered.items())
    return [*blocks, Paragraph("Versions of each run's last session:"), Bullets(words)]


def _row(run, differ, version):
    flags = " ".join(f"--{n}={lines.flag_text(getattr(run.config, n))}" for n in differ)
    results = run.results or {}
    return (
        run.name,
        lines.words_of(run.config),
        flags or tables.DASH,
        f"{results['examples']:,}" if results else "unfinished",
        f"{results['step']}" if "step" in results else tables.DASH,
        tables.DASH if run.seconds is None else f"{run.seconds:.0f}",
        f"{version}, {len(run.environment)} session(s)",
        ", ".join(run.missing) or "none",
    )


def _versions(run):
    """Of its last session, in words."""
    if not run.environment:
        return "not recorded"
    last = run.environment[-1]
    names = ", ".join(f"{name} {version}" for name, version in last.get("versions", {}).items())
    commit = last.get("git_commit")
    return names + (f", commit {commit}" if commit else "")
