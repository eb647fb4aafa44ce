"""Every way to damage the ledger of `tests.ledger.books`, and what the verifier must say of it: check, table, row."""
# ruff: noqa: S608 - tables and columns named by the tests themselves

from tests.ledger.books import ACME, DAY, DEFAULT_ORG, MARCH_28_IN_NEW_YORK, MARCH_IN_BERLIN, NOW_S, REVENUE

TOPPED_UP = f"day {DAY}, key 5, target host/tiered, kind chat"
PICTURED = f"day {DAY + 2}, key 5, target host/pictures, kind images/generations"
KEYS_DAY = f"day {DAY}, key 5"

DAMAGE: dict[str, tuple[list[str], set[tuple[str, str, str]]]] = {
    # --- I1: every movement, and all together
    "an entry is changed": (
        [f"UPDATE posting SET amount = amount + 1 WHERE movement = 8 AND account = {ACME}"],
        {("I1 conservation", "posting", "8"), ("I2 balances", "account", "5")},
    ),
    "an entry of nothing": (
        [
            "INSERT INTO posting VALUES (99, 1, 5), (99, 2, -5)",
            "UPDATE account SET posted = posted + 5 WHERE id = 1",
            "UPDATE account SET posted = posted - 5 WHERE id = 2",
        ],
        {("I1 conservation", "posting", "99")},
    ),
    "as many entries of nothing as movements": (
        [
            "INSERT INTO posting SELECT id + 91, 1, 5 FROM movement UNION ALL SELECT id + 91, 2, -5 FROM movement",
            "UPDATE account SET posted = posted + 20 WHERE id = 1",
            "UPDATE account SET posted = posted - 20 WHERE id = 2",
        ],
        {("I1 conservation", "posting", "99")},
    ),
    "a movement without entries": (
        [
            "INSERT INTO movement (id, kind, at, actor, reason) VALUES (99, 'grant', 1, 'eve', 'x')",
            "INSERT INTO audit VALUES (9, 1, 'eve', 'credits.grant', 'org_acme', '{\"tx\":99}')",
        ],
        {("I1 conservation", "movement", "99")},
    ),
    # --- I2: balances and budgets are folds
    "a balance is raised": (
        [f"UPDATE account SET posted = posted + 1000 WHERE id = {ACME}"],
        {("I2 balances", "account", "5")},
    ),
    "entries of an account that is not there": (
        ["DELETE FROM account WHERE id = 6"],
        {("I2 balances", "posting", "account 6"), ("I12 costs of failures", "hold", "3")},
    ),
    "a budget forgets": (
        ["UPDATE spend SET amount = 0 WHERE node = 2"],
        {("I2 budgets", "spend", "node 2, window_start 0")},
    ),
    "a day of New York is counted by UTC": (
        [f"UPDATE spend SET window_start = {DAY * 86_400} WHERE window_start = {MARCH_28_IN_NEW_YORK}"],
        {("I2 budgets", "spend", f"node 5, window_start {DAY * 86_400}")},
    ),
    "a month of Berlin begins an hour late": (
        [f"UPDATE spend SET window_start = {MARCH_IN_BERLIN + 3600} WHERE window_start = {MARCH_IN_BERLIN}"],
        {("I2 budgets", "spend", f"node 3, window_start {MARCH_IN_BERLIN + 3600}")},
    ),
    "a later window is missing": (
        ["DELETE FROM spend WHERE node = 3 AND amount = 10001"],
        {("I2 budgets", "spend", "node 3, window of 2026-04-01")},
    ),
    "a zone that no map has": (
        ["UPDATE node SET budget_zone = 'Mars/Olympus' WHERE number = 3"],
        {("I2 budgets", "node", "3")},
    ),
    # --- I3: no negative
    "who may not owe owes": (
        ["UPDATE account SET allow_debt = 0 WHERE id = 4"],
        {("I3 no negative", "account", "4")},
    ),
    "more is held than there is": (
        ["UPDATE hold SET amount = 6489497 WHERE id = 4"],
        {("I3 no negative", "account", "5")},
    ),
    # --- I5: one charge, of one closed hold
    "a charge is of another hold": (
        ["UPDATE charge SET hold = 6 WHERE hold = 2"],
        {("I5 one charge", "charge", "6")},
    ),
    "a charge goes elsewhere": (
        [
            "UPDATE charge SET credit = 2 WHERE hold = 2",
            "UPDATE account SET posted = posted - 503 WHERE id = 1",
            "UPDATE account SET posted = posted + 503 WHERE id = 2",
        ],
        {("I5 one charge", "charge", "2"), ("I25 three ways", "usage_day", KEYS_DAY)},
    ),
    "a charge is another organisation's": (
        [
            f"UPDATE charge SET debit = {DEFAULT_ORG} WHERE hold = 2",
            f"UPDATE account SET posted = posted + 503 WHERE id = {ACME}",
            f"UPDATE account SET posted = posted - 503 WHERE id = {DEFAULT_ORG}",
        ],
        {("I5 one charge", "charge", "2")},
    ),
    "a charge is of more than its hold says": (
        [
            "UPDATE charge SET amount = 504 WHERE hold = 2",
            f"UPDATE account SET posted = posted - 1 WHERE id = {ACME}",
            f"UPDATE account SET posted = posted + 1 WHERE id = {REVENUE}",
        ],
        {("I5 one charge", "charge", "2"), ("I25 three ways", "usage_day", KEYS_DAY)},
    ),
    "a charge of no hold": (
        [
            f"INSERT INTO charge VALUES (99, 1, {ACME}, {REVENUE}, 503)",
            f"UPDATE account SET posted = posted - 503 WHERE id = {ACME}",
            f"UPDATE account SET posted = posted + 503 WHERE id = {REVENUE}",
        ],
        {("I5 one charge", "charge", "99")},
    ),
    "a charge of nothing": (
        [f"INSERT INTO charge VALUES (6, 1, {ACME}, {REVENUE}, 0)"],
        {("I5 one charge", "charge", "6")},
    ),
    "a hold is given back twice": (
        [
            "DROP INDEX movement_of_hold",
            "INSERT INTO movement (id, kind, at, hold) VALUES (99, 'reversal', 1, 7)",
            f"INSERT INTO posting VALUES (99, {ACME}, 1), (99, {REVENUE}, -1)",
            f"UPDATE account SET posted = posted + 1 WHERE id = {ACME}",
            f"UPDATE account SET posted = posted - 1 WHERE id = {REVENUE}",
            "UPDATE spend SET amount = amount - 1 WHERE node = 2 OR amount = 10001",
            f"UPDATE usage_day SET charge = charge - 1 WHERE day = {DAY + 2}",
        ],
        {("I5 reversals", "movement", "99"), ("I19 append-only", "sqlite_schema", "movement_of_hold")},
    ),
    "an open hold is charged": (
        ["UPDATE hold SET charge = 5, clipped = 1 WHERE id = 4"],
        {
            ("I5 states of a hold", "hold", "4"),
            ("I10 no free success", "hold", "4"),
            ("I7 charge within hold", "hold", "4"),
            ("I2 budgets", "spend", "node 2, window_start 0"),
        },
    ),
    "a closed hold has no time": (
        ["UPDATE hold SET closed_at = NULL WHERE id = 6"],
        {("I5 states of a hold", "hold", "6")},
    ),
    "a settled hold has no target": (
        ["UPDATE hold SET target = '' WHERE id = 6", "UPDATE usage_day SET target = '' WHERE target = 'host/free'"],
        {("I5 states of a hold", "hold", "6")},
    ),
    "a movement of a hold lost its hold": (
        ["UPDATE movement SET hold = NULL WHERE id = 10"],
        {
            ("I5 states of a hold", "movement", "10"),
            ("I12 costs of failures", "hold", "3"),
            ("I28 audit", "movement", "10"),
        },
    ),
    "a reversal beyond the charge": (
        [
            "UPDATE posting SET amount = 40002 WHERE movement = 11 AND account = 5",
            "UPDATE posting SET amount = -40002 WHERE movement = 11 AND account = 1",
            "UPDATE account SET posted = posted + 10002 WHERE id = 5",
            "UPDATE account SET posted = posted - 10002 WHERE id = 1",
            "UPDATE spend SET amount = amount - 10002 WHERE node = 2 OR amount = 10001",
            f"UPDATE usage_day SET charge = -1 WHERE day = {DAY + 2}",
        ],
        {("I5 reversals", "movement", "11")},
    ),
    "a reversal with a third entry": (
        [
            "INSERT INTO posting VALUES (11, 2, 7), (11, 3, -7)",
            "UPDATE account SET posted = posted + 7 WHERE id = 2",
            "UPDATE account SET posted = posted - 7 WHERE id = 3",
        ],
        {
            ("I5 reversals", "movement", "11"),
            ("I2 budgets", "spend", "node 2, window_start 0"),
            ("I25 usage of a day", "usage_day", PICTURED),
        },
    ),
    "a reversal of what cost nothing": (
        ["UPDATE movement SET hold = 6 WHERE id = 11"],
        {
            ("I5 reversals", "movement", "11"),
            ("I2 budgets", "spend", f"node 3, window_start {MARCH_IN_BERLIN}"),
            ("I25 usage of a day", "usage_day", f"day {DAY}, key 5, target host/free, kind chat"),
            ("I25 three ways", "usage_day", KEYS_DAY),
        },
    ),
    # --- I6: resolved in time
    "a hold is left open": (
        [f"UPDATE hold SET opened_at = {(NOW_S - 3601) * 1_000_000} WHERE id = 4"],
        {("I6 resolved in time", "hold", "4")},
    ),
    # --- I7, I8: within the hold, at the price
    "a charge above its hold": (
        ["UPDATE hold SET amount = 502 WHERE id = 2"],
        {("I7 charge within hold", "hold", "2")},
    ),
    "something is clipped below the hold": (
        ["UPDATE hold SET amount = 1600000 WHERE id = 1"],
        {("I7 charge within hold", "hold", "1")},
    ),
    "a token more": (
        [
            "UPDATE hold SET input = 11 WHERE id = 6",
            "UPDATE hold SET output = 301 WHERE id = 5",
            "UPDATE usage_day SET input = 11 WHERE target = 'host/free'",
            f"UPDATE usage_day SET output = 301 WHERE day = {DAY + 1}",
        ],
        {("I8 recomputable", "hold", "5")},
    ),
    "what was clipped is forgotten": (
        ["UPDATE hold SET clipped = 0 WHERE id = 1"],
        {("I8 recomputable", "hold", "1")},
    ),
    "a charge of an unknown price": (
        ["UPDATE hold SET price = 77 WHERE id = 2"],
        {("I8 recomputable", "hold", "2")},
    ),
    "a free answer of no price": (
        ["UPDATE hold SET price = NULL WHERE id = 6"],
        {("I8 recomputable", "hold", "6")},
    ),
    "a price is edited": (
        ["UPDATE price SET body = replace(body, '\"image\":0', '\"image\":1') WHERE id = 2"],
        {("I8 price versions", "price", "2")},
    ),
    "a price is of another model": (
        ["UPDATE price SET model = 'other' WHERE id = 3"],
        {("I8 price versions", "price", "3")},
    ),
    "a price cannot be read": (
        ["UPDATE price SET body = '{' WHERE id = 3"],
        {("I8 price versions", "price", "3"), ("I8 recomputable", "hold", "6")},
    ),
    "a price is below zero": (
        ["UPDATE price SET body = replace(body, '\"request\":500', '\"request\":-500') WHERE id = 4"],
        {("I8 price versions", "price", "4"), ("I8 recomputable", "hold", "7")},
    ),
    # --- I9, I10: nothing for nothing, and no free success
    "a released hold is charged": (
        ["UPDATE hold SET charge = 5 WHERE id = 3"],
        {
            ("I9 nothing for nothing", "hold", "3"),
            ("I10 no free success", "hold", "3"),
            ("I2 budgets", "spend", "node 2, window_start 0"),
        },
    ),
    "a charge is never entered": (
        [
            "DELETE FROM charge WHERE hold = 5",
            "UPDATE account SET posted = 0 WHERE id = 4",
            "UPDATE account SET posted = posted - 70000 WHERE id = 1",
        ],
        {("I10 no free success", "hold", "5"), ("I25 three ways", "usage_day", f"day {DAY + 1}, key 6")},
    ),
    "one charge of all is left": (
        [
            "DELETE FROM charge WHERE hold <> 7",
            f"UPDATE account SET posted = posted + 1500503 WHERE id = {ACME}",
            f"UPDATE account SET posted = posted + 70000 WHERE id = {DEFAULT_ORG}",
            f"UPDATE account SET posted = posted - 1570503 WHERE id = {REVENUE}",
        ],
        {("I10 no free success", "hold", "1"), ("I25 three ways", "usage_day", KEYS_DAY)},
    ),
    # --- I11, I12: one request, one hold, one answer
    "an answer is kept that nobody held for": (
        ["UPDATE idempotency SET request_id = 'req_99'"],
        {("I11 idempotency", "idempotency", "key 5, name once")},
    ),
    "two attempts are said to have answered": (
        ['UPDATE hold SET attempts = \'[{"outcome":"ok"},{"outcome":"ok"}]\' WHERE id = 6'],
        {("I12 one answer", "hold", "6")},
    ),
    "a failed attempt's cost is not entered": (
        ["UPDATE hold SET attempts = replace(attempts, '450', '451') WHERE id = 3"],
        {("I12 costs of failures", "hold", "3")},
    ),
    "a cost of no attempt": (
        ["UPDATE hold SET attempts = '[]' WHERE id = 3"],
        {("I12 costs of failures", "hold", "3")},
    ),
    # --- I19, I20: guards and ranges
    "tokens below zero": (
        [
            "UPDATE hold SET cache_write_1h = -1, input = 11 WHERE id = 6",
            "UPDATE usage_day SET cache_write_1h = -1, input = 11 WHERE target = 'host/free'",
        ],
        {("I20 sane numbers", "hold", "6")},
    ),
    "tokens beyond any count": (
        [
            "UPDATE hold SET output = 2147483649 WHERE id = 6",
            "UPDATE usage_day SET output = 2147483649 WHERE target = 'host/free'",
        ],
        {("I20 sane numbers", "hold", "6")},
    ),
    "attempts that are no list": (
        ["UPDATE hold SET attempts = '{}' WHERE id = 6"],
        {("I20 sane numbers", "hold", "6")},
    ),
    "attempts that cannot be read": (
        ["UPDATE hold SET attempts = '[' WHERE id = 6"],
        {("I20 sane numbers", "hold", "6")},
    ),
    "attempts of which some have a cost break off": (
        ["UPDATE hold SET attempts = substr(attempts, 1, length(attempts) - 1) WHERE id = 3"],
        {("I20 sane numbers", "hold", "3")},
    ),
    # --- I21: once per event
    "an event is credited twice": (
        [
            "DROP INDEX movement_of_event",
            "INSERT INTO movement (id, kind, at, source, external_id) VALUES (99, 'topup', 1, 'stripe', 'evt_1')",
            "INSERT INTO posting VALUES (99, 5, 1), (99, 2, -1)",
            "UPDATE account SET posted = posted + 1 WHERE id = 5",
            "UPDATE account SET posted = posted - 1 WHERE id = 2",
            "INSERT INTO audit VALUES (9, 1, 'eve', 'credits.topup', 'org_acme', '{\"tx\":99}')",
        ],
        {("I21 once per event", "movement", "99"), ("I19 append-only", "sqlite_schema", "movement_of_event")},
    ),
    # --- I22: chains
    "a chain of nodes that are not there": (
        ["UPDATE chain SET nodes = '[6,77]' WHERE id = 2"],
        {("I22 chains", "chain", "2"), ("I22 holds on chains", "hold", "5")},
    ),
    "a chain of no list": (
        ["UPDATE chain SET nodes = '{}' WHERE id = 2"],
        {("I22 chains", "chain", "2"), ("I22 holds on chains", "hold", "5")},
    ),
    "a chain that begins above the key": (
        ["UPDATE chain SET nodes = '[4,3,2]' WHERE id = 1"],
        {
            ("I22 chains", "chain", "1"),
            ("I22 holds on chains", "hold", "1"),
            ("I2 budgets", "spend", "node 5, window_start 1774670400"),
        },
    ),
    "a chain that cannot be read": (
        ["UPDATE chain SET nodes = '6,1' WHERE id = 2"],
        {("I22 chains", "chain", "2"), ("I22 holds on chains", "hold", "5")},
    ),
    "a chain that ends below the organisation": (
        ["UPDATE chain SET nodes = '[5,4,3]' WHERE id = 1"],
        {
            ("I22 chains", "chain", "1"),
            ("I22 holds on chains", "hold", "1"),
            ("I2 budgets", "spend", "node 2, window_start 0"),
        },
    ),
    "another organisation pays": (
        ["UPDATE chain SET payer = 2 WHERE id = 2"],
        {("I22 chains", "chain", "2"), ("I22 holds on chains", "hold", "5")},
    ),
    "a hold of another key": (
        ["UPDATE hold SET key = 6 WHERE id = 6", "UPDATE usage_day SET key = 6 WHERE target = 'host/free'"],
        {("I22 holds on chains", "hold", "6")},
    ),
    # --- I25: the day's sums
    "a day shows more tokens": (
        ["UPDATE usage_day SET output = output + 1 WHERE target = 'host/tiered'"],
        {("I25 usage of a day", "usage_day", TOPPED_UP)},
    ),
    "a day shows less money": (
        ["UPDATE usage_day SET charge = charge - 1 WHERE target = 'host/tiered'"],
        {("I25 usage of a day", "usage_day", TOPPED_UP), ("I25 three ways", "usage_day", KEYS_DAY)},
    ),
    "a line of a day is missing": (
        ["DELETE FROM usage_day WHERE target = 'host/tiered'"],
        {("I25 usage of a day", "usage_day", TOPPED_UP), ("I25 three ways", "usage_day", KEYS_DAY)},
    ),
    "a line of a day is made up": (
        [f"INSERT INTO usage_day VALUES ({DAY}, 6, 'host/x', 'chat', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)"],
        {("I25 usage of a day", "usage_day", f"day {DAY}, key 6, target host/x, kind chat")},
    ),
    # --- I28: who and why
    "a grant by nobody": (
        ["UPDATE movement SET actor = '' WHERE id = 8"],
        {("I28 accounted for", "movement", "8")},
    ),
    "an adjustment for no reason": (
        ["UPDATE movement SET reason = '', kind = 'adjustment' WHERE id = 8"],
        {("I28 accounted for", "movement", "8")},
    ),
    "a top-up of no event": (
        ["UPDATE movement SET external_id = NULL WHERE id = 9"],
        {("I28 accounted for", "movement", "9")},
    ),
    "a movement that is not in the audit": (
        ["DELETE FROM audit WHERE detail = '{\"tx\": 9}'"],
        {("I28 audit", "movement", "9")},
    ),
}
