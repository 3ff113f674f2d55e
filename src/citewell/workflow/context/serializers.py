"""Values of saved contexts as text: JSON, or with pickle where the caller trusts what he will read back."""

import base64
import json
import pickle
from typing import Any, Protocol, runtime_checkable

from citewell.workflow.errors import CodecError
from citewell.workflow.tagged import TAG, from_json, to_json


@runtime_checkable
class BaseSerializer(Protocol):
    """Any value as text, and back."""

    def serialize(self, value: Any) -> str:
        """The value as text; raises ValueError or CodecError when it has no form."""
        ...

    def deserialize(self, value: str) -> Any:
        """The value of which `serialize` made this text."""
        ...


class JsonSerializer(BaseSerializer):
    """JSON; values that JSON does not know stand under the name of their type, which must be loaded when read."""

    def serialize_value(self, value: Any) -> Any:
        """The value as JSON-able lists, dicts and scalars; CodecError when it has no form."""
        return to_json(value, "value")

    def deserialize_value(self, data: Any) -> Any:
        """The value of which `serialize_value` made this."""
        return from_json(data, "value")

    def serialize(self, value: Any) -> str:
        return json.dumps(self.serialize_value(value), ensure_ascii=False)

    def deserialize(self, value: str) -> Any:
        return self.deserialize_value(json.loads(value))


class PickleSerializer(JsonSerializer):
    """As JSON where possible, else pickled. Reading pickles runs code: read only what you have written yourself."""

    def serialize_value(self, value: Any) -> Any:
        try:
            return super().serialize_value(value)
        except CodecError:
            return {TAG: "pickle", "value": base64.b64encode(pickle.dumps(value)).decode()}

    def deserialize_value(self, data: Any) -> Any:
        if isinstance(data, dict) and data.get(TAG) == "pickle":
            return pickle.loads(base64.b64decode(data["value"]))  # noqa: S301 - the caller chose this serializer
        return super().deserialize_value(data)
