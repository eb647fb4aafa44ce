"""Made-up personal data for the tests: every value is an issuer's own example, or nobody's."""

CARDS = (
    *("4111111111111111", "4012888888881881", "4222222222222", "5555555555554444", "5105105105105100"),
    *("2223003122003222", "378282246310005", "371449635398431", "6011111111111117", "3530111333300000"),
    *("30569309025904", "38520000023237", "6200000000000005", "4000056655665556"),
)
IBANS = (
    *("DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "NO9386011117947"),
    *("NL91ABNA0417164300", "CH9300762011623852957", "ES9121000418450200051332", "PL61109010140000071219812874"),
    *(
        "MT84MALT011000012345MTLCAST001S",
        "BE68539007547034",
        "SA0380000000608010167519",
        "BR1800360305000010009795493C1",
    ),
)
LETTERS = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA"
"""Sixty-four such characters make the body of any key."""
BODY = LETTERS + LETTERS[::-1]
KEYS = (
    f"sk-{BODY[:48]}",
    f"sk-proj-{BODY}",
    f"sk-ant-api03-{BODY}_{BODY[:20]}AA",
    f"sk-or-v1-{BODY}",
    f"sk-th-{BODY[:43]}",
    f"sk_live_{BODY[:24]}",
    f"rk_test_{BODY[:24]}",
    f"whsec_{BODY[:32]}",
    "AKIA" + "Q3XEXAMPLE7654ZZ",
    f"ghp_{BODY[:36]}",
    f"github_pat_{BODY[:22]}_{BODY[:59]}",
    f"glpat-{BODY[:20]}",
    f"xoxb-{'1234567890'}-{BODY[:24]}",
    f"xapp-1-{BODY[:30]}",
    f"AIza{BODY[:35]}",
    f"hf_{BODY[:34]}",
    f"gsk_{BODY[:52]}",
    f"npm_{BODY[:36]}",
    f"SG.{BODY[:22]}.{BODY[:43]}",
    f"eyJ{BODY[:33]}.eyJ{BODY[:50]}.{BODY[:43]}",
)
PRIVATE_KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n{BODY}\n-----END RSA PRIVATE KEY-----"
