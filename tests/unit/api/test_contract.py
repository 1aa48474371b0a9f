"""schemathesis against the OpenAPI description: answers are as described, whatever is asked."""

import schemathesis
from hypothesis import HealthCheck, given, settings
from moteye.api.app import make_app
from moteye.api.tokens import Tokens
from unit.api.test_api import ROUTES, Service


def test_the_description_holds_whatever_is_asked(tmp_path):
    service, tokens = Service(), Tokens(tmp_path / "tokens.json")
    service.decide(1, 2, 3)
    secret = tokens.add("all", ["read", "act", "metrics"])
    app = make_app(service, tokens, longest_stream_s=0.0)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == len(ROUTES) + 2
    asked = 0

    def check(case):
        nonlocal asked
        asked += 1
        case.call_and_validate(headers={"Authorization": f"Bearer {secret}"})

    few = settings(
        max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    for operation in operations:
        few(given(case=operation.as_strategy())(check))()
    assert asked > 60
