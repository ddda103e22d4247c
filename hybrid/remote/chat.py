"""One question to a language model behind any API that speaks OpenAI's ``POST /chat/completions``."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from hybrid.errors import RemoteError
from hybrid.remote.service import Call, Service, waited
from hybrid.remote.tokens import estimated_tokens

_PATH = "chat/completions"
_REMEMBERED = 1024


class Chat:
    """A language model that answers; may be used from several threads. ``close`` ends the connections.

    The last answers are remembered, so that asking again (for a page, for an explanation) gives the same.
    """

    def __init__(self, model: str, service: Service, *, temperature: float | None, most: int) -> None:
        """Take the model's name, where it is, and how many tokens it may answer; nothing is sent yet."""
        self.model, self.service = model, service
        self._temperature, self._most = temperature, most
        self._answers: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Chat(openai:{self.model}, {self.service.base_url!r})"

    def close(self) -> None:
        """End the connections."""
        self.service.close()

    def ask(self, instruction: str, text: str) -> str:
        """Return what the model answers to a text under an instruction.

        Raises:
            RemoteError: the API failed for good, or answered with something else than a chat completion.
        """
        key = (instruction, text)
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        messages = [{"role": "system", "content": instruction}, {"role": "user", "content": text}]
        call = Call()
        answer = waited(self._answered(messages, call), call)
        with self._lock:
            self._answers[key] = answer
            while len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        return answer

    async def _answered(self, messages: Sequence[dict[str, str]], call: Call) -> str:
        warmth = {} if self._temperature is None else {"temperature": self._temperature}
        body = {"model": self.model, "messages": list(messages), "max_tokens": self._most, **warmth}
        tokens = sum(estimated_tokens(message["content"]) for message in messages) + self._most
        answer = await self.service.post(_PATH, body, tokens, call)
        try:
            content = answer["choices"][0]["message"]["content"]
        except (TypeError, KeyError, IndexError) as error:
            where = f"{self.service.name} at {self.service.base_url}"
            raise RemoteError(f"{where}: the answer has no choices[0].message.content") from error
        if not isinstance(content, str) or not content.strip():
            raise RemoteError(f"{self.service.name} at {self.service.base_url}: the answer is empty")
        return content
