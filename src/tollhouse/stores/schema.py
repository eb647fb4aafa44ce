"""The tables of the embedded database, as a list of scripts that are applied once each, in order.

`stores.sqlite` applies them. Two rules are the database's own, so that no program error can break them: what was
entered is never changed (triggers), and an account that may not owe never does (CHECK). Amounts are nano-USD,
``*_at`` of the ledger's tables Unix microseconds, of the others Unix seconds.
"""

_KEYS = """
CREATE TABLE key (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    hint TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
"""

_TENANCY = """
CREATE TABLE node (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('org', 'team', 'user', 'key')),
    parent INTEGER REFERENCES node (number) CHECK ((kind = 'org') = (parent IS NULL)),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    budget_nusd INTEGER CHECK (budget_nusd >= 0),
    budget_period TEXT CHECK (budget_period IN ('total', 'day', 'week', 'month')),
    budget_zone TEXT,
    models TEXT,
    kinds TEXT,
    tier TEXT,
    billing TEXT CHECK ((kind = 'org') = (billing IS NOT NULL) AND billing IN ('prepaid', 'postpaid')),
    disabled_at INTEGER,
    disabled_reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX node_by_parent ON node (parent);

CREATE TABLE key_details (
    number INTEGER PRIMARY KEY REFERENCES node (number),
    permission TEXT NOT NULL CHECK (permission IN ('read', 'write', 'admin')),
    expires_at INTEGER,
    owner TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE key_secret (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    key INTEGER NOT NULL REFERENCES node (number),
    hint TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX key_secret_by_key ON key_secret (key);

INSERT INTO node (number, id, kind, parent, name, created_at, billing)
    VALUES (1, 'org_default', 'org', NULL, 'Default', unixepoch(), 'postpaid');
INSERT INTO node (id, kind, parent, name, created_at, disabled_at, disabled_reason)
    SELECT id, 'key', 1, name, created_at, revoked_at, iif(revoked_at IS NULL, '', 'revoked')
    FROM key ORDER BY created_at, id;
INSERT INTO key_details (number, permission) SELECT number, 'write' FROM node WHERE kind = 'key';
INSERT INTO key_secret (digest, key, hint, created_at)
    SELECT key.digest, node.number, key.hint, key.created_at FROM key JOIN node ON node.id = key.id;
DROP TABLE key;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_kept_1 BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_kept_2 BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;
"""

_LEDGER = """
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    posted INTEGER NOT NULL DEFAULT 0,
    allow_debt INTEGER NOT NULL CHECK (allow_debt IN (0, 1)),
    CHECK (posted >= 0 OR allow_debt = 1)
) STRICT;

CREATE TABLE chain (
    id INTEGER PRIMARY KEY,
    nodes TEXT NOT NULL,
    payer INTEGER NOT NULL REFERENCES node (number),
    UNIQUE (nodes, payer)
) STRICT;

CREATE TABLE price (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    model TEXT NOT NULL,
    source TEXT NOT NULL,
    body TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    effective_from INTEGER NOT NULL
) STRICT;

CREATE TABLE hold (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    key INTEGER NOT NULL REFERENCES node (number),
    chain INTEGER NOT NULL REFERENCES chain (id),
    payer INTEGER NOT NULL REFERENCES node (number),
    kind TEXT NOT NULL,
    requested TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    opened_at INTEGER NOT NULL,
    input_bound INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settled', 'released', 'expired')),
    progress INTEGER NOT NULL DEFAULT 0,
    closed_at INTEGER,
    charge INTEGER NOT NULL DEFAULT 0 CHECK (charge BETWEEN 0 AND amount),
    target TEXT NOT NULL DEFAULT '',
    price INTEGER REFERENCES price (id),
    input INTEGER NOT NULL DEFAULT 0,
    cache_read INTEGER NOT NULL DEFAULT 0,
    cache_write INTEGER NOT NULL DEFAULT 0,
    cache_write_1h INTEGER NOT NULL DEFAULT 0,
    output INTEGER NOT NULL DEFAULT 0,
    reasoning INTEGER NOT NULL DEFAULT 0,
    input_audio INTEGER NOT NULL DEFAULT 0,
    output_audio INTEGER NOT NULL DEFAULT 0,
    images INTEGER NOT NULL DEFAULT 0,
    estimated INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    clipped INTEGER NOT NULL DEFAULT 0,
    attempts TEXT NOT NULL DEFAULT '[]',
    CHECK ((state = 'open') = (closed_at IS NULL))
) STRICT;
CREATE INDEX hold_by_request ON hold (request_id);
CREATE INDEX hold_open ON hold (id) WHERE state = 'open';
CREATE TRIGGER hold_kept_1 BEFORE UPDATE ON hold WHEN OLD.state <> 'open'
    BEGIN SELECT RAISE(ABORT, 'a hold is resolved once'); END;
CREATE TRIGGER hold_kept_2 BEFORE DELETE ON hold BEGIN SELECT RAISE(ABORT, 'holds are never deleted'); END;

CREATE TABLE tx (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN
        ('charge', 'grant', 'topup', 'refund', 'adjustment', 'writeoff', 'cost', 'reversal')),
    at INTEGER NOT NULL,
    hold INTEGER REFERENCES hold (id),
    actor TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    source TEXT,
    external_id TEXT,
    reverses INTEGER REFERENCES tx (id)
) STRICT;
CREATE UNIQUE INDEX tx_of_hold ON tx (hold, kind) WHERE hold IS NOT NULL;
CREATE UNIQUE INDEX tx_of_event ON tx (source, external_id) WHERE external_id IS NOT NULL;
CREATE TRIGGER tx_kept_1 BEFORE UPDATE ON tx BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER tx_kept_2 BEFORE DELETE ON tx BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE entry (
    tx INTEGER NOT NULL REFERENCES tx (id),
    account INTEGER NOT NULL REFERENCES account (id),
    amount INTEGER NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (tx, account)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER entry_kept_1 BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entry_kept_2 BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE spend (
    node INTEGER NOT NULL REFERENCES node (number),
    window_start INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (node, window_start)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_day (
    day INTEGER NOT NULL,
    key INTEGER NOT NULL REFERENCES node (number),
    target TEXT NOT NULL,
    kind TEXT NOT NULL,
    requests INTEGER NOT NULL,
    input INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    input_audio INTEGER NOT NULL,
    output_audio INTEGER NOT NULL,
    images INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    charge INTEGER NOT NULL,
    PRIMARY KEY (day, key, target, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    key INTEGER NOT NULL REFERENCES node (number),
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    request_id TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    status INTEGER,
    content_type TEXT,
    body BLOB,
    PRIMARY KEY (key, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE payment_claim (
    source TEXT NOT NULL,
    payment TEXT NOT NULL,
    name TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (source, payment, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""

_REPLAYS = """
CREATE TABLE replay (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL REFERENCES node (number),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    request_id TEXT NOT NULL,
    stored_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    answer BLOB NOT NULL,
    UNIQUE (scope, digest)
) STRICT;
CREATE INDEX replay_by_age ON replay (scope, id, size);
CREATE INDEX replay_by_end ON replay (expires_at);

CREATE TABLE replay_size (scope INTEGER PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;
INSERT INTO replay_size VALUES (0, 0);
CREATE TRIGGER replay_in AFTER INSERT ON replay BEGIN
    INSERT INTO replay_size VALUES (NEW.scope, NEW.size) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
    UPDATE replay_size SET bytes = bytes + NEW.size WHERE scope = 0;
END;
CREATE TRIGGER replay_out AFTER DELETE ON replay BEGIN
    UPDATE replay_size SET bytes = bytes - OLD.size WHERE scope IN (0, OLD.scope);
END;
"""

_SAFETY = """
ALTER TABLE node ADD COLUMN safety TEXT;

ALTER TABLE hold ADD COLUMN safety TEXT NOT NULL DEFAULT '';

CREATE TABLE safety_day (
    day INTEGER NOT NULL,
    key INTEGER NOT NULL REFERENCES node (number),
    side TEXT NOT NULL CHECK (side IN ('prompt', 'completion')),
    category TEXT NOT NULL,
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 3),
    filtered INTEGER NOT NULL CHECK (filtered IN (0, 1)),
    requests INTEGER NOT NULL,
    PRIMARY KEY (day, key, side, category, level, filtered)
) STRICT, WITHOUT ROWID;
"""

# A charge is one row, under the number of the hold that it settles. Every other movement gets a number beyond those of
# the holds there are, and from here on one sequence gives both. ``tx`` and ``entry`` show all of them.
_CHARGES = """
CREATE TABLE charge (
    hold INTEGER PRIMARY KEY REFERENCES hold (id),
    at INTEGER NOT NULL,
    debit INTEGER NOT NULL REFERENCES account (id),
    credit INTEGER NOT NULL REFERENCES account (id) CHECK (credit <> debit),
    amount INTEGER NOT NULL CHECK (amount > 0)
) STRICT;
INSERT INTO charge (hold, at, debit, credit, amount)
    SELECT tx.hold, tx.at, paid.account, got.account, got.amount
    FROM tx JOIN entry AS paid ON paid.tx = tx.id AND paid.amount < 0
        JOIN entry AS got ON got.tx = tx.id AND got.amount > 0
    WHERE tx.kind = 'charge' ORDER BY tx.hold;
CREATE TRIGGER charge_kept_1 BEFORE UPDATE ON charge BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER charge_kept_2 BEFORE DELETE ON charge BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE movement (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN
        ('grant', 'topup', 'refund', 'adjustment', 'writeoff', 'cost', 'reversal')),
    at INTEGER NOT NULL,
    hold INTEGER REFERENCES hold (id),
    actor TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    source TEXT,
    external_id TEXT
) STRICT;
INSERT INTO movement (id, kind, at, hold, actor, reason, source, external_id)
    SELECT id + (SELECT coalesce(max(id), 0) FROM hold), kind, at, hold, actor, reason, source, external_id
    FROM tx WHERE kind <> 'charge' ORDER BY id;
CREATE UNIQUE INDEX movement_of_hold ON movement (hold, kind) WHERE hold IS NOT NULL;
CREATE UNIQUE INDEX movement_of_event ON movement (source, external_id) WHERE external_id IS NOT NULL;
CREATE TRIGGER movement_kept_1 BEFORE UPDATE ON movement BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER movement_kept_2 BEFORE DELETE ON movement BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE posting (
    movement INTEGER NOT NULL REFERENCES movement (id),
    account INTEGER NOT NULL REFERENCES account (id),
    amount INTEGER NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (movement, account)
) STRICT, WITHOUT ROWID;
INSERT INTO posting (movement, account, amount)
    SELECT entry.tx + (SELECT coalesce(max(id), 0) FROM hold), entry.account, entry.amount
    FROM entry JOIN tx ON tx.id = entry.tx WHERE tx.kind <> 'charge';
CREATE TRIGGER posting_kept_1 BEFORE UPDATE ON posting BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER posting_kept_2 BEFORE DELETE ON posting BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

DROP TRIGGER audit_kept_1;
UPDATE audit SET detail = json_set(detail, '$.tx', (detail ->> 'tx') + (SELECT coalesce(max(id), 0) FROM hold))
    WHERE json_valid(detail) AND detail ->> 'tx' IS NOT NULL;
CREATE TRIGGER audit_kept_1 BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;

DROP TABLE entry;
DROP TABLE tx;
CREATE VIEW tx (id, kind, at, hold, actor, reason, source, external_id, reverses) AS
    SELECT hold, 'charge', at, hold, '', '', NULL, NULL, NULL FROM charge
    UNION ALL
    SELECT id, kind, at, hold, actor, reason, source, external_id, iif(kind = 'reversal', hold, NULL) FROM movement;
CREATE VIEW entry (tx, kind, at, hold, account, amount) AS
    SELECT hold, 'charge', at, hold, debit, -amount FROM charge
    UNION ALL
    SELECT hold, 'charge', at, hold, credit, amount FROM charge
    UNION ALL
    SELECT id, kind, at, hold, account, amount FROM movement JOIN posting ON posting.movement = movement.id;
"""

MIGRATIONS = (_KEYS, _TENANCY + _LEDGER, _REPLAYS, _SAFETY, _CHARGES)
