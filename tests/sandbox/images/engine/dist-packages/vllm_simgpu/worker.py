"""The CPU worker with the one buffer that an eager pipeline stage lacks."""

from __future__ import annotations

from typing import Any

from vllm.v1.worker.cpu_worker import CPUWorker


class SimGpuWorker(CPUWorker):
    """CPU worker that can be a later stage of a pipeline."""

    def load_model(self, **kwargs: Any) -> None:
        """Load, then make the buffer that vLLM otherwise makes in the warm-up run, which eager mode skips."""
        super().load_model(**kwargs)
        from vllm.distributed.parallel_state import get_pp_group  # noqa: PLC0415

        runner = self.model_runner
        if not get_pp_group().is_first_rank and getattr(runner, "intermediate_tensors", 0) is None:
            runner.intermediate_tensors = runner.model.make_empty_intermediate_tensors(
                batch_size=runner.max_num_tokens, dtype=runner.model_config.dtype, device=runner.device
            )
