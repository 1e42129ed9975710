import pytest

from thalweg.errors import InputError
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build


def test_critical_energies_and_exponent_are_found_again_and_sigma_scales_energies() -> None:
    one, two = (build("pennington_bahri", size=200, seeds=1, sigma=s)() for s in (1.0, 2.0))
    rows = {row.claim: row for row in one.rows}
    for name in ("critical_energy_wigner", "critical_energy_relu", "exponent"):
        assert rows[name].agrees
    assert rows["critical_energy_wigner"].ours == pytest.approx(0.0435095264191645, rel=1e-8)
    assert rows["exponent"].ours == pytest.approx(1.5, abs=0.01)
    assert {r.claim: r.ours for r in two.rows}["critical_energy_relu"] == pytest.approx(
        4 * rows["critical_energy_relu"].ours
    )
    assert one.status in ReproductionStatus and one.data["wigner.x"].shape == one.data["wigner.ours"].shape
    with pytest.raises(InputError, match=r"phi=1\.0"):
        build("pennington_bahri", phi=1.0)
