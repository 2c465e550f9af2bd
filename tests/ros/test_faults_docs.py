"""docs/faults.md has every row that the tests play."""

import pathlib

import test_faults_graph
import test_faults_input
import test_faults_link
import test_faults_process
import test_faults_words

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "faults.md"
MODULES = [test_faults_graph, test_faults_input, test_faults_link, test_faults_process, test_faults_words]


def test_document_has_every_played_row():
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    rows = [tuple(cell.strip() for cell in line.split("|")[1:5]) for line in lines]
    assert rows[2:] == [fault.cells() for module in MODULES for fault in module.ROWS]
