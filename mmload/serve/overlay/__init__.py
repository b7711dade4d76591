"""A handoff strategy inside real SGLang, without touching its files: the second host beside the stand-in.

    hook/sitecustomize.py   what Python runs at its start, in the server and in every process that it spawns
    install.py              which module of SGLang is patched by which of ours
    imports.py              calls a patch when a module has been imported
    shapes.py               what each patched function must look like, and the refusal when one doesn't
    server.py               the main process: counters, announcements of the ranks, /server_info, /metrics
    tokenizer.py            TokenizerManager: at_tokenizer, withdraw
    rank.py                 Scheduler: on_receive, materialise, on_abort
    agreement.py            whether all ranks fail on the same request
    host.py                 what a strategy may ask of either, with torch's gloo for its broadcasts
    tensors.py              pickles without the bytes of their tensors
    stages.py               SGLang's own functions, timed in place

It runs in SGLang's environment: the standard library, numpy and what SGLang brings. The folder `hook` is put first on
PYTHONPATH, $MMLOAD_HOOKS names install.py and $MMLOAD_OVERLAY_VARIANT the strategy; engines.py does all that.

Counters book the CPU of the threads that call: gloo copies in threads of its own, whose CPU only the processes' own
figures show.
"""

VARIANT_VARIABLE = "MMLOAD_OVERLAY_VARIANT"
FOLDER_VARIABLE = "MMLOAD_OVERLAY_FOLDER"  # set by the main process for its ranks
