"""The index of clauses: current, whole, and written in the words of tests that exist."""

import re

from tests.house.checkout import name
from tools.clause_index import CLAUSES, PAGE, asked, page, proofs, unproved

CLAUSE = re.compile(r"[0-9A-Z]+(\.[0-9]+)*")


def test_the_page_of_clauses_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"make {name(PAGE)} anew: python -m tools.clause_index"


def test_every_clause_that_concerns_what_is_built_has_a_test() -> None:
    assert unproved() == [], f"of {name(CLAUSES)}"


def test_a_clause_is_a_number_of_a_document() -> None:
    odd = [proof for proof in proofs() if not CLAUSE.fullmatch(proof.clause) or not re.fullmatch(r"[A-Z][\w .-]+", proof.document)]
    assert odd == []
    assert [clause for clauses in asked().values() for clause in clauses if clause != "title" and not CLAUSE.fullmatch(clause)] == []


def test_every_document_has_a_title_and_every_clause_words() -> None:
    assert [document for document, clauses in asked().items() if not clauses.get("title")] == []
    assert [
        clause for clauses in asked().values() for clause, words in clauses.items() if not words.endswith(".") and clause != "title"
    ] == []
