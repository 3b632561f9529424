"""Copies what people asked for: requests are judged once, actions proposed until under way."""

from dataclasses import dataclass, replace

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.proposals import Proposals
from dynamo.dealer.request_evaluator import RequestEvaluator, RequestRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Proposes the open actions of all requests, merged per site and dataset."""

    max_size: float = 200e12
    """Bytes of one dataset in a request; 0 = any."""
    block_request_max: float = 0.5
    """Blocks that make up more than this part of their dataset are copied as the dataset."""
    overwritten_groups: tuple[str, ...] = ()
    """Copies of these groups are taken over instead of making another one."""

    def propose(self, view: InventoryView, rng: np.random.Generator) -> Proposals:
        """Judge the requests: activated ones first, then new ones, in their order."""
        judge = RequestEvaluator(
            view, RequestRules(self.max_size, self.block_request_max, self.overwritten_groups), rng
        )
        requests = sorted(view.asked.requests, key=lambda request: not request.activated)
        verdicts = {request.key: judge.judge(request) for request in requests}
        in_order = tuple(verdicts[request.key] for request in view.asked.requests)
        return replace(judge.proposals(), ranked=False, divisible=True, verdicts=in_order)
