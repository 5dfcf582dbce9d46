"""What a report is made from: read from stores, checked to belong together."""

from __future__ import annotations

import judged_documents
import pytest
import reported

from atomate2_vogen.errors import InputError, SchemeMismatchError, UnknownFormulaError
from atomate2_vogen.report import ReportDocuments
from atomate2_vogen.schemas import StabilityState
from atomate2_vogen.stability.metrics import metrics_id
from atomate2_vogen.stores import VogenStores


@pytest.fixture(scope="module")
def whole():
    return reported.whole()


def replaced(whole, **changes):
    names = ("stability", "references", "calculations", "metrics", "electronic", "phonons", "run")
    return ReportDocuments(**({name: getattr(whole, name) for name in names} | changes))


def test_stores_give_what_was_saved(whole):
    foreign = judged_documents.reference("VO2", -2.0).model_copy(
        update={"reference_id": "other", "scheme": "other-1"}
    )
    with VogenStores.memory() as stores:
        for kind in ("stability", "references", "calculations", "electronic", "phonons"):
            stores.save(getattr(whole, kind))
        stores.save(foreign)
        stores.save(reported.electronic("nobody"))
        found = ReportDocuments.from_stores(stores, metrics=whole.metrics, run=whole.run)
        some = [whole.stability[0].candidate_id]
        fewer = ReportDocuments.from_stores(stores, candidate_ids=some, scheme=reported.SCHEME)
    assert {d.candidate_id for d in found.stability} == {d.candidate_id for d in whole.stability}
    assert [d.candidate_id for d in found.electronic] == some
    assert len(found.phonons) == 2
    assert found.hull_id == whole.hull_id
    assert found.measured == whole.metrics
    assert found.electronic[0].line_bands is not None
    assert [d.candidate_id for d in fewer.stability] == some
    assert len(fewer.calculations) == 1


def test_documents_that_do_not_belong_together_are_refused(whole):
    with pytest.raises(InputError, match="no stability document"):
        replaced(whole, stability=[])
    with pytest.raises(InputError, match="there twice"):
        replaced(whole, stability=[*whole.stability, whole.stability[0]])
    other = whole.stability[0].model_copy(update={"candidate_id": "b", "scheme": "other-1"})
    with pytest.raises(SchemeMismatchError, match="2 values of scheme"):
        replaced(whole, stability=[*whole.stability, other])
    with pytest.raises(InputError, match=r"placed on .*vogen build"):
        replaced(whole, references=whole.references[:-1])
    strange = whole.stability[0].model_copy(update={"formula": "<b>"})
    with pytest.raises(UnknownFormulaError, match="<b>"):
        replaced(whole, stability=[strange])


def test_metrics_of_other_candidates_are_measured_anew(whole):
    fewer = replaced(
        whole, stability=whole.stability[:3], calculations=whole.calculations[:3]
    ).measured
    ids = [d.candidate_id for d in whole.stability[:3]]
    assert fewer.metrics_id == metrics_id(ids, whole.scheme, whole.hull_id)
    assert fewer.metrics_id != whole.metrics.metrics_id
    assert fewer.overall.n_delivered == 3
    # the key is the one that measuring gives
    assert whole.metrics.metrics_id == metrics_id(
        [d.candidate_id for d in whole.stability], whole.scheme, whole.hull_id
    )
    assert replaced(whole, metrics=None, calculations=()).measured is None


def test_the_best_of_each_formula_and_all_that_failed_are_listed(whole):
    listed = whole.listed(1)
    ranked = [d for d in listed if d.state is StabilityState.RANKED]
    assert [d.formula for d in ranked] == ["V2O3", "VO2"]
    assert [d.energy_above_hull for d in ranked] == pytest.approx([-0.03, 0.02])
    assert len(listed) == 5
    assert len(whole.listed(None)) == 9
    energies = [d.energy_above_hull for d in whole.candidates[:6]]
    assert energies == sorted(energies)
