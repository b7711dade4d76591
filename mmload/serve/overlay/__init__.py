"""A handoff strategy inside real SGLang, without touching its files: the second host beside the stand-in.

    hook/                   a folder for PYTHONPATH, of the server and so of every process that it spawns:
      sitecustomize.py        what Python runs at its start, which makes mmload importable
      mmload_plugin.py        what SGLang's plugin loader finds there, from 0.5.16 on
    install.py              hooks the versions without plugins, by older/
    older/                  0.5.4.post2 to 0.5.6: a module for each of SGLang's that is hooked
    plugin/                 0.5.16 to 0.5.23: likewise, through SGLang's registry of hooks

    main_process.py         what all versions have in common: counters, announcements, /server_info, /metrics,
    tokenizer_side.py         the strategy in the TokenizerManager: at_tokenizer, withdraw,
    rank_side.py              .. and in a Scheduler: on_receive, materialise, on_abort
    envelope.py             how a payload travels in a request
    agreement.py            whether all ranks fail on the same request
    host.py                 what a strategy may ask of either, with torch's gloo for its broadcasts
    gloo.py                 the CPU of gloo's own threads
    tensors.py              pickles without the bytes of their tensors
    stages.py               SGLang's own functions, timed in place
    shapes.py               what each hooked function must look like, and the refusal when one doesn't
    imports.py              calls a patch when a module has been imported

It runs in SGLang's environment: the standard library, numpy and what SGLang brings. The folder `hook` is put first on
PYTHONPATH, $MMLOAD_HOOKS names install.py and $MMLOAD_OVERLAY_VARIANT the strategy; engines.py does all that, whatever
the version: one with plugins loads ours, and install.py leaves it alone.

Counters book the CPU of the threads that call and, for a broadcast, that of gloo's threads, which copy.
"""

VARIANT_VARIABLE = "MMLOAD_OVERLAY_VARIANT"
FOLDER_VARIABLE = "MMLOAD_OVERLAY_FOLDER"  # set by the main process for its ranks
