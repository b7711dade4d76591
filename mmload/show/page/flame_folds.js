"use strict";
// Which frames a view may fold away: what leads to an event loop, and what only hands on from its caller to its callee.

(() => {
  const FOLD = { NONE: 0, LOOP: 1, BOILERPLATE: 2 };

  const SCHEDULER_LOOP = /(^|\.)event_loop\w*$/;
  const ASYNCIO_LOOP = /(^|\.)(run|run_until_complete|run_forever|_run_once|_run)$/;
  const ASYNCIO_FILE = /(^|\/)asyncio\/(runners|base_events|events)\.py$/;
  const isLoop = ({ function: name, file }) =>
    SCHEDULER_LOOP.test(name) || (ASYNCIO_FILE.test(file) && ASYNCIO_LOOP.test(name));

  // File -> the ends of its functions' names. Without the file they could be anybody's.
  const BOILERPLATE = {
    // A torch module's forward() is called through both.
    "torch/nn/modules/module.py": ["_wrapped_call_impl", "_call_impl"],
    // Decorators of torch: no_grad and its kind; around a collective, to log its errors; around a compiled function.
    "torch/utils/_contextlib.py": ["decorate_context"],
    "torch/distributed/c10d_logger.py": ["wrapper"],
    "torch/_dynamo/eval_frame.py": ["_fn"],
    // @deprecated.
    "typing_extensions.py": ["wrapper"],
    "warnings.py": ["wrapper"],
    // singledispatch, partialmethod, cached_property.
    "functools.py": ["wrapper", "_method", "cached_property.__get__"],
    // What goes around the body of a @contextmanager, and around a function that one decorates.
    "contextlib.py": [
      "_GeneratorContextManager.__enter__", "_GeneratorContextManager.__exit__", "helper", "inner",
      "_AsyncGeneratorContextManager.__aenter__", "_AsyncGeneratorContextManager.__aexit__",
      "enter_context", "enter_async_context", "_exit_wrapper",
    ],
    // What starts a thread, a pool's piece of work (its _worker stays: it waits for work), a process, a module.
    "threading.py": ["Thread._bootstrap", "Thread._bootstrap_inner", "Thread.run"],
    "concurrent/futures/thread.py": ["_WorkItem.run"],
    "multiprocessing/process.py": ["BaseProcess._bootstrap", "BaseProcess.run"],
    "multiprocessing/spawn.py": ["spawn_main", "_main"],
    "<frozen runpy>": ["_run_module_as_main", "_run_code"],
    // What steps a task; asyncio's handles are its loop.
    "asyncio/tasks.py": ["__step", "__step_run_and_handle_result", "__wakeup"],
    "asyncio/threads.py": ["to_thread"],
    "anyio/_core/_tasks.py": ["_run_coro"],
    "anyio/_backends/_asyncio.py": ["_run_wrapped_task"],
  };
  const isBoilerplate = ({ function: name, file }) =>
    Object.hasOwn(BOILERPLATE, file) && BOILERPLATE[file].some((end) => name === end || name.endsWith(`.${end}`));

  const foldOf = (frame) => (isLoop(frame) ? FOLD.LOOP : isBoilerplate(frame) ? FOLD.BOILERPLATE : FOLD.NONE);

  /** What each frame is: one of FOLD. */
  const foldsOf = (frames) => Uint8Array.from(frames, foldOf);

  Object.assign(window.mmload, { FOLD, foldsOf });
})();
