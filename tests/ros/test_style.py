"""tools/style finds what docs/style.md forbids, and nothing else."""

import importlib.machinery
import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "style.md").read_text()


def load_tool():
    loader = importlib.machinery.SourceFileLoader("style", str(ROOT / "tools" / "style"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("style", loader))
    loader.exec_module(module)
    return module


style = load_tool()
RULES = style.word_rules(PAGE)
LONG = " ".join(["word"] * 31) + "."


def problems(name, text, exceptions=()):
    return [problem for _, problem in sorted(style.findings(name, text, RULES, exceptions))]


@pytest.mark.parametrize("word", [word for words, _ in style.table(PAGE, "Words") for word in words.split(", ")])
def test_every_word_of_the_table_is_found(word):
    (problem, *_) = problems("src/a.rs", f"// The controller {word} it.\n")
    assert word in problem or "write" in problem


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("src/a.rs", "fn reply_heard() {}\n", "'heard'"),
        ("src/a.rs", "struct HeardSoFar;\n", "'heard'"),
        ("src/a.rs", 'const TEXT: &str = "nobody publishes";\n', "'nobody'"),
        ("src/a.rs", f"/// {LONG}\nfn a() {{}}\n", "31 words"),
        ("src/a.rs", f"// {'x' * 98}\n", "101 columns"),
        ("src/a.rs", "#[test]\nfn one_two_three_four_five_six_seven_eight_nine() {}\n", "9 words"),
        ("src/a.rs", "#[tokio::test]\nasync fn one_two_three_four_five_six_seven_eight_nine() {}\n", "9 words"),
        ("tests/a.py", "def test_one_two_three_four_five_six_seven_eight_nine():\n    pass\n", "9 words"),
        ("tests/a.py", f'"""{LONG}"""\n', "31 words"),
        ("tests/a.py", f'def a():\n    """{LONG}"""\n', "31 words"),
        ("docs/a.md", f"- {LONG}\n", "31 words"),
        ("docs/a.md", f"| a | {LONG} |\n", "31 words"),
        ("docs/a.md", "A repeat is no command.\n", "'is no'"),
        ("config/a.yaml", f"# {LONG}\n", "columns"),
    ],
)
def test_a_fault_is_found(name, text, expected):
    assert any(expected in problem for problem in problems(name, text)), problems(name, text)


@pytest.mark.parametrize(
    "name, text",
    [
        ("docs/a.md", "There is no reply. The link is no longer up.\n"),
        ("docs/a.md", f"```text\n{LONG}\n```\n"),
        ("docs/a.md", "One line ends here.\n\n- first\n- second\n"),
        ("src/a.rs", "/// Return the time to wait.\nfn a() {}\n"),
        ("src/a.rs", "#[test]\nfn one_two_three_four_five_six_seven_eight() {}\n"),
        ("src/a.rs", f"// See https://{'x' * 100}\n"),
    ],
)
def test_plain_text_passes(name, text):
    assert problems(name, text) == []


def test_exception_holds_in_its_file_only():
    exceptions = [["sound is heard", "src/a.rs", "it is a sound"]]
    assert problems("src/a.rs", "// The sound is heard.\n", exceptions) == []
    assert problems("src/b.rs", "// The sound is heard.\n", exceptions) != []


def test_every_exception_is_used():
    for text, file, _ in style.exceptions_of(PAGE):
        assert text in (ROOT / file).read_text(), f"{file} no longer has: {text}"
