"""Make some targets in this one process, without Snakemake."""

from argparse import ArgumentParser, Namespace

from guidance_study.commands.shared import planned, takes_configuration, takes_targets


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    takes_targets(parser)
    takes_configuration(parser)


def run(options: Namespace) -> int:
    from guidance_study.execution import jobs
    from guidance_study.execution.rulebook import export_settings
    from guidance_study.sources.rawfiles import export_places
    from guidance_study.store.artefacts import Store
    from guidance_study.store.index import write_index
    from guidance_study.store.lock import Lock
    from guidance_study.store.publishing import publish_all
    from guidance_study.store.stale import set_aside
    from guidance_study.support.progress import log

    study, plan, targets = planned(options)
    export_settings(study)
    export_places(plan.raw_files())
    jobs.prepare_process(study.execution.threads)
    from guidance_study.execution.devices import claim  # and torch with it, after the thread counts are fixed

    claim(study.execution.devices)
    store = Store(options.results)
    with Lock(options.results):
        write_index(plan, options.results)
        set_aside(store, plan.artefacts)
        publish_all(plan, options.results)
        made = 0
        while todo := [a for a in plan.ancestors(targets) if not store.has(a)]:
            for i, artefact in enumerate(todo, 1):
                log(f"[{i}/{len(todo)}] {artefact.about}")
                jobs.run_job(artefact.recipe, artefact.address, options.results)
            made += len(todo)
            set_aside(store, plan.artefacts)
    print(f"{made} artefacts made; tables and figures are in {options.results}")
    return 0
