"""The overlay in SGLang 0.5.4.post2 to 0.5.6, which has no plugins: ../install.py puts these around its functions when
the module has been imported.

    http_server.py          the ranks are launched and counted, announced, and shown on /metrics
    tokenizer_manager.py    at_tokenizer, withdraw
    mm_utils.py             hash, timed
    scheduler.py            on_receive, materialise, on_abort

Each is named as SGLang's module that it hooks, and has SHAPES, what must be found there, and HOOKS: a function of ours
for each of SGLang's, called with that and its arguments. ../plugin has the same form.
"""
