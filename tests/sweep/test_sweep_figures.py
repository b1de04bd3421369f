"""Do a sweep's figures and page show what its table holds?"""

import pandas as pd
import pytest

from nmsim.report.sweep import figures, over_seeds
from nmsim.report.sweep_page import ANY, best_points, page_of
from nmsim.report.varied import varied


def made_up():
    """A table of 3 buffers × 2 placements × 2 seeds, with two schemes."""
    rows = []
    for size in (1, 2, 4):
        for placement in ("bank", "rank"):
            for seed in (1, 2):
                for scheme in ("full", "k-center@nmc"):
                    energy = 1e12 * (9 if scheme == "full" else size + 4 * (placement == "rank"))
                    row = {
                        "point": f"{size}{placement}{seed}",
                        "status": "done",
                        "error": "",
                        "near_memory.buffer": f"{size} KiB",
                    }
                    row |= {
                        "near_memory.buffer [B]": 1024.0 * size,
                        "near_memory.placement": placement,
                        "seed": seed,
                    }
                    row |= {
                        "scheme": scheme,
                        "accuracy_mean": 0.8 + 0.02 * seed,
                        "accuracy_sd": 0.0,
                        "seeds": 1,
                    }
                    for layer in ("dataset_ddr_energy", "ddr_energy", "system_energy"):
                        row |= {
                            f"{layer}_fJ": energy,
                            f"{layer}_fJ_p05": energy / 2,
                            f"{layer}_fJ_p95": energy * 2,
                        }
                    row |= {"ratio_to_full_system_energy": energy / 9e12, "time_ps": 1e9, "die_share": 0.1}
                    row |= {"units_area_mm2": 0.1 * size * (8 if placement == "bank" else 1)}
                    rows.append(row)
    return pd.DataFrame(rows)


PATHS = ["near_memory.buffer", "near_memory.placement", "seed"]


def test_seeds_become_a_spread_and_bands_the_widest():
    table = made_up()
    table.loc[table["seed"] == 2, "system_energy_fJ_p95"] *= 3
    merged = over_seeds(table, [a for a in varied(table, PATHS) if a.path != "seed"])
    assert len(merged) == len(table) / 2 and (merged["seeds"] == 2).all()
    assert merged["accuracy_mean"].to_numpy() == pytest.approx(0.83)
    assert merged["accuracy_sd"].to_numpy() == pytest.approx(0.02 / 2**0.5)  # of 0.82 and 0.84
    assert (merged["system_energy_fJ_p95"] == 6 * merged["system_energy_fJ"]).all()


def test_a_sweep_of_two_values_is_drawn_as_lines_front_and_maps(tmp_path):
    plots = {plot.name: plot for plot in figures(made_up(), PATHS)}
    assert list(plots) == [
        "energy_over_near_memory_buffer", "energy_over_near_memory_placement", "accuracy_over_energy",
        "map_k-center-nmc", "energy_over_area",
    ]  # fmt: skip
    assert (
        "1.00 mJ with near_memory.buffer 1 KiB and near_memory.placement bank"
        in plots["map_k-center-nmc"].sentence
    )
    front = plots["accuracy_over_energy"].data.query("on_front")
    assert list(front["scheme"].unique()) == ["k-center@nmc"] and (front["system_energy_fJ"] == 1e12).all()
    paths = plots["map_k-center-nmc"].save(tmp_path)
    assert [path.suffix for path in paths] == [".png", ".svg", ".csv"] and all(
        p.stat().st_size > 500 for p in paths
    )


@pytest.mark.parametrize(
    ("lengths", "named"), [(3, "placement rank, length 2 mm"), (5, "the least at each value")]
)
def test_a_legend_names_every_scheme_and_every_kind_of_line(lengths, named):
    # 2 placements × 3 lengths are six lines beside each other, 2 × 5 too many to tell apart.
    tables = [
        made_up().assign(**{"link.length": f"{mm} mm", "link.length [mm]": float(mm)})
        for mm in range(lengths)
    ]
    table = pd.concat(tables, ignore_index=True)
    plots = {plot.name: plot for plot in figures(table, [*PATHS, "link.length"])}
    plot = plots["energy_over_near_memory_buffer"]
    (legend,) = plot.figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said[:2] == ["full", "k-center@nmc"] and named in said
    assert len(said) == 2 + (6 if lengths == 3 else 1)
    # Of equals but for the buffer: 1 and 4 mJ and what the rank adds, 5 and 8 mJ; the larger ratio counts.
    assert plot.sentence.startswith("k-center@nmc differs most: from 1.00 mJ at 1 KiB to 4.00 mJ at 4 KiB")
    assert "placement bank" in plot.sentence


def test_where_nothing_was_trained_there_is_no_figure_of_accuracy():
    untrained = made_up().assign(accuracy_mean=float("nan"), accuracy_sd=float("nan"))
    plots = figures(untrained, PATHS)
    assert "accuracy_over_energy" not in [plot.name for plot in plots]
    assert all("nan" not in plot.sentence for plot in plots)
    assert "nan" not in page_of(untrained, {"name": "untrained"}, PATHS, [])


def test_the_page_says_what_is_best_and_what_failed():
    table = pd.concat(
        [made_up(), pd.DataFrame([{"point": "x", "status": "failed", "error": "<no>", "scheme": ""}])]
    )
    html = page_of(table.reset_index(drop=True), {"name": "buffers"}, PATHS, [])
    place = "with near_memory.buffer 1 KiB, near_memory.placement bank (point 1bank1)"
    assert f"k-center@nmc takes the least energy, 1.00 mJ, {place}" in html.replace("\u00a0", " ")
    assert "1 points failed" in html and "&lt;no&gt;" in html and "<no>" not in html


def test_the_best_point_names_no_value_that_makes_no_difference_to_its_scheme():
    rows = {row[0].text: [cell.text for cell in row[2:5]] for row in best_points(made_up(), PATHS).rows}
    assert rows == {"full": [ANY, ANY, ANY], "k-center@nmc": ["1 KiB", "bank", ANY]}


def test_a_scheme_gets_no_map_of_differences_that_no_digit_shows():
    table = made_up().query("seed == 1").reset_index(drop=True)
    moved = table["system_energy_fJ"] + table.index * 1e4  # of 1e12 and more
    plots = [plot.name for plot in figures(table.assign(system_energy_fJ=moved), PATHS[:2])]
    assert "map_k-center-nmc" in plots and "map_full" not in plots
