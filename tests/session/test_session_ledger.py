from factory import make_run

from mmload.model.manifest import Manifest
from mmload.model.result import Summary
from mmload.session.ledger import Ledger
from mmload.store import read
from mmload.store.read import read_document


def test_a_run_is_sealed_with_one_verdict_on_its_generator_and_its_records_are_read_once(tmp_path, monkeypatch):
    late = make_run(tmp_path, duration_s=5, lag_ms=40.0)
    ledger = Ledger(late.layout, late.plan, "optimized")
    ledger.note(phases=late.manifest.phases)
    tables = []
    monkeypatch.setattr(read, "table_of", lambda records, table_of=read.table_of: tables.append(1) or table_of(records))
    sealed = ledger.seal(None, ["worker 1 said nothing for more than 5 s"])
    stored = read_document(late.layout.manifest, Manifest)
    summary = read_document(late.layout.summary, Summary)
    assert (len(sealed.requests), len(tables)) == (704, 1)
    assert sealed.manifest == stored
    assert stored.status == summary.status == "complete"
    assert stored.validity == summary.validity == sealed.summary.validity
    assert stored.validity[0] == "worker 1 said nothing for more than 5 s"
    assert stored.validity[1].startswith("requests were sent late")
