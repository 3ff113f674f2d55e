"""Any sequence of commits, failures and deletions gives what a plain dict of all versions gives."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from citewell.errors import NotFound
from citewell.storage import SqliteStore
from citewell.testing.store_samples import ANN, BOB, EVE, HR_ONLY, IDENTITY, version
from citewell.types import Access

PRINCIPALS = (ANN, BOB, EVE)
RULES = (Access.everyone(), HR_ONLY, Access(frozenset({"everyone"}), frozenset({"user:ann"})), Access())
sources = st.tuples(st.sampled_from(["acme", "other"]), st.sampled_from(["p", "q"]), st.sampled_from(["a", "b"]))
texts = st.sampled_from(["one two", "two three\nfour", "one two\none two", "five", "\n\n", "six\n" * 3])


@dataclass
class Kept:
    """One source in the model: versions as (number, document id, text, rule, from, to)."""

    rule: Access
    state: str = "active"
    last: int = 0
    versions: list = field(default_factory=list)


class Model(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.folder = tempfile.mkdtemp()
        self.loop = asyncio.new_event_loop()
        self.store = self.loop.run_until_complete(SqliteStore.open(self.folder))
        self.do(self.store.bind(IDENTITY))
        self.kept = {}
        self.sequence = 0

    def do(self, work):
        return self.loop.run_until_complete(work)

    @rule(given=st.dictionaries(sources, st.tuples(texts, st.sampled_from(RULES)), min_size=1, max_size=3))
    def commit(self, given):
        new = [
            version(uri, text, bucket=bucket, tenant=tenant, access=rule, derived=["in short"])
            for (tenant, bucket, uri), (text, rule) in given.items()
        ]
        done = self.do(self.store.commit(new))
        self.sequence += 1
        for key, item, made in zip(given, new, done, strict=True):
            kept = self.kept.setdefault(key, Kept(item.source.access))
            kept.rule, kept.state, kept.last = item.source.access, "active", kept.last + 1
            replaced = None
            if kept.versions and kept.versions[-1][5] is None:
                replaced = kept.versions[-1][1]
                kept.versions[-1][5] = self.sequence
            kept.versions.append(
                [kept.last, item.document.id, item.document.text, item.source.access, self.sequence, None]
            )
            assert (made.sequence, made.document.version, made.replaced) == (self.sequence, kept.last, replaced)

    @rule(key=sources, rule=st.sampled_from(RULES))
    def fail(self, key, rule):
        tenant, bucket, uri = key
        source = version(uri, "x", bucket=bucket, tenant=tenant, access=rule).source
        self.do(self.store.fail(source, "corrupt", "damaged"))
        kept = self.kept.setdefault(key, Kept(rule))
        kept.state = "failed"
        if not kept.versions:
            kept.rule = rule

    @rule(key=sources, principal=st.sampled_from(PRINCIPALS))
    def delete(self, key, principal):
        tenant, bucket, uri = key
        removed = self.do(self.store.delete([uri], bucket=bucket, principal=principal))
        kept = self.kept.get(key)
        allowed = tenant == principal.tenant and kept and kept.state != "deleted" and kept.rule.permits(principal)
        # The same bucket and uri of the principal's own tenant is another source than the key's.
        mine = self.kept.get((principal.tenant, bucket, uri))
        if mine is None or mine.state == "deleted" or not mine.rule.permits(principal):
            assert removed == []
            assert not allowed
            return
        assert [(state.uri, state.bucket, state.state) for state in removed] == [(uri, bucket, "deleted")]
        if mine.versions:
            self.sequence += 1
        mine.state, mine.versions = "deleted", []

    @rule()
    def reopen(self):
        self.do(self.store.close())
        self.store = self.do(SqliteStore.open(self.folder, create=False))

    @invariant()
    def the_store_is_the_model(self):
        assert self.do(self.store.sequence()) == self.sequence
        catalogue = self.do(self.store.catalogue())
        told = sorted(
            (row.tenant, row.bucket, row.ref.uri, row.ref.version, row.ref.id, row.valid_from, row.valid_to or 0)
            for row in catalogue
        )
        expected = sorted(
            (*key, number, document, start, end or 0)
            for key, kept in self.kept.items()
            for number, document, _, _, start, end in kept.versions
        )
        assert told == expected
        for principal in PRINCIPALS:
            listed = [(state.bucket, state.uri, state.state) for state in self.do(self.store.sources(principal))]
            assert listed == sorted(
                (bucket, uri, kept.state)
                for (tenant, bucket, uri), kept in self.kept.items()
                if tenant == principal.tenant and kept.rule.permits(principal)
            )
            for row in catalogue:
                kept = self.kept[row.tenant, row.bucket, row.ref.uri]
                own = next(item for item in kept.versions if item[0] == row.ref.version)
                both = own[3].permits(principal) and kept.rule.permits(principal)
                if row.access.permits(principal):
                    assert both
                if row.valid_to is None:
                    assert row.access.permits(principal) == both
            for key, kept in self.kept.items():
                for document in {item[1] for item in kept.versions}:
                    readable = key[0] == principal.tenant and any(
                        item[1] == document and item[3].permits(principal) and kept.rule.permits(principal)
                        for item in kept.versions
                    )
                    try:
                        _, text, _ = self.do(self.store.document(document, principal))
                        assert readable
                        assert text == next(item[2] for item in kept.versions if item[1] == document)
                    except NotFound:
                        assert not readable

    @invariant()
    def rows_and_nodes_belong_to_the_catalogue(self):
        catalogue = {row.key: row for row in self.do(self.store.catalogue())}
        batch = self.do(self.store.rows(0, 10_000))
        assert set(batch.document_keys.tolist()) == set(catalogue)
        nodes = self.do(self.store.nodes(batch.rows.tolist()))
        assert len(nodes) == len(batch.rows)
        for row, key in zip(batch.rows.tolist(), batch.document_keys.tolist(), strict=True):
            node, ref = nodes[row]
            assert ref == catalogue[key].ref
            kept = self.kept[catalogue[key].tenant, ref.bucket, ref.uri]
            text = next(item[2] for item in kept.versions if item[0] == ref.version)
            assert node.text == ("in short" if node.derived else node.span.of(text))
        assert self.do(self.store.check()) == []

    def teardown(self):
        if hasattr(self, "store"):
            self.do(self.store.close())
            self.loop.close()
            shutil.rmtree(self.folder)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
