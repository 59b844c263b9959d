"""Whether a request is one that a document describes; if not, what is wrong with it, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from scalability.errors import ClientError, MethodNotAllowed, NotFound
from scalability.gateway.openapi.bodies import Verdict, judged
from scalability.gateway.openapi.operations import Methods, Operation
from scalability.gateway.openapi.parameters import Parameter, parse_cookies, parse_query
from scalability.gateway.openapi.schemas import MAX_PROBLEMS, SchemaCheck
from scalability.gateway.openapi.templates import PathTree
from scalability.gateway.routing.paths import DottedPath, path_of
from scalability.http1.request_head import RequestHead

MAX_ARGUMENTS: Final = 1000
"""Pairs of a query."""


class Problem(NamedTuple):
    """One mistake: ``where`` is path, query, header, cookie or body; ``pointer`` leads to it, in the body or in the parameter's value."""

    where: str
    name: str
    pointer: str
    message: str


class Invalid(ClientError):
    """The request is not what the API's description asks for."""

    def __init__(self, message: str, *, status: int, code: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation that a request is for, and its path's parameters."""

    operation: Operation
    parameters: dict[str, str]

    @property
    def takes_body(self) -> bool:
        """Whether the body matters: else it is passed on unread."""
        return self.operation.body is not None


class Validation:
    """Checks requests by the operations of a document, whose paths begin behind ``base``."""

    def __init__(self, tree: PathTree[Methods], base: bytes, *, max_nesting: int, strict: bool = True) -> None:
        self._tree = tree
        self._base = base
        self.max_nesting = max_nesting
        self._strict = strict

    def find(self, head: RequestHead) -> Asked | None:
        """The operation that ``head`` asks for. None for one that the document does not have, unless those are refused.

        Raises NotFound or MethodNotAllowed.
        """
        base = self._base
        try:
            path = path_of(head.target)  # in no other form may a path pass by its description
        except DottedPath as error:
            raise NotFound("The path has a segment of dots.") from error
        below = path.startswith(base) and path[len(base) : len(base) + 1] in (b"", b"/")
        match = self._tree.match(path[len(base) :] or b"/") if below else None
        if match is None:
            if self._strict:
                raise NotFound("The description of this API has no such path.")
            return None
        operation = match.found.get(head.method)
        if operation is None and head.method == b"HEAD":
            operation = match.found.get(b"GET")
        if operation is not None:
            return Asked(operation, match.parameters)
        if not self._strict:
            return None
        allowed = sorted(method.decode() for method in match.found)
        raise MethodNotAllowed("The description of this API has no such method for this path.", allow=tuple(allowed))

    def check_head(self, head: RequestHead, asked: Asked) -> None:
        """Parameters, and the type of the body. Raises Invalid: 400, or 415."""
        operation = asked.operation
        if operation.parameters:
            problems = self._parameters(head, asked)
            if problems:
                raise Invalid("The request has parameters that are not valid.", status=400, code="invalid_parameters", problems=problems)
        if operation.body is not None and head.has_body:
            self._check_of(head, operation)

    def check_body(self, head: RequestHead, asked: Asked, body: bytes) -> None:
        """The whole body. Raises Invalid: 400 when there is none or it is no JSON, 415 for another type, 422 when its schema forbids it."""
        check = self.body_check(head, asked, body)
        if check is not None:
            self.judge(judged(body, check, self.max_nesting))

    def body_check(self, head: RequestHead, asked: Asked, body: bytes) -> SchemaCheck | None:
        """What is to check ``body``; None: anything will do. Raises Invalid, 400 when there must be a body, 415 for another type."""
        wanted = asked.operation.body
        if wanted is None:
            return None
        if not body:
            if wanted.required:
                problem = Problem("body", "", "", "is required")
                raise Invalid("The request needs a body.", status=400, code="invalid_body", problems=[problem])
            return None
        return self._check_of(head, asked.operation)

    @staticmethod
    def judge(verdict: Verdict) -> None:
        """Raises Invalid for what is no JSON (400), or not of its schema (422)."""
        if verdict.not_json:
            problem = Problem("body", "", "", verdict.not_json)
            raise Invalid(f"The body is not JSON: {verdict.not_json}", status=400, code="bad_json", problems=[problem])
        if verdict.problems:
            problems = [Problem("body", "", pointer, message) for pointer, message in verdict.problems]
            raise Invalid("The body is not valid.", status=422, code="invalid_body", problems=problems)

    def _check_of(self, head: RequestHead, operation: Operation) -> SchemaCheck | None:
        """What checks a body of the type that the request states; None where anything of that type will do."""
        body = operation.body
        assert body is not None
        if len(head.get_all(b"content-type")) > 1:
            # whoever reads the body next may go by the other one
            raise Invalid("The request has more than one Content-Type.", status=400, code="bad_request")
        given = (head.get(b"content-type") or b"").partition(b";")[0].strip(b" \t").lower().decode("latin-1")
        for kind in (given, given.partition("/")[0] + "/*", "*/*"):
            if kind in body.types:
                if body.types[kind] is not None and (head.get(b"content-encoding") or b"identity").lower() != b"identity":
                    raise Invalid("The body must come without a Content-Encoding.", status=415, code="unsupported_content_encoding")
                return body.types[kind]
        raise Invalid(
            f"The body must be {' or '.join(body.types)}, and Content-Type must say so.",
            status=415,
            code="unsupported_content_type",
            problems=[Problem("header", "Content-Type", "", f"must be {' or '.join(body.types)}")],
        )

    def _parameters(self, head: RequestHead, asked: Asked) -> list[Problem]:
        raw = head.target.partition(b"?")[2]
        if raw.count(b"&") >= MAX_ARGUMENTS:
            return [Problem("query", "", "", f"has more than {MAX_ARGUMENTS} arguments")]
        try:
            query = parse_query(raw)
            cookies = parse_cookies(head.get_all(b"cookie"))
        except UnicodeDecodeError:
            return [Problem("query", "", "", "is not UTF-8")]
        problems: list[Problem] = []
        for parameter in asked.operation.parameters:
            values: Sequence[str]
            if parameter.where == "path":
                values = [asked.parameters[parameter.name]] if parameter.name in asked.parameters else []
            elif parameter.where == "query":
                values = query.get(parameter.name, ())
                if parameter.style == "deepObject" and not parameter.json:
                    values = [""] if any(name.startswith(parameter.name + "[") for name in query) else ()
            elif parameter.where == "cookie":
                values = cookies.get(parameter.name, ())
            else:
                values = [value.decode("utf-8", "surrogateescape") for value in head.get_all(parameter.name.lower().encode())]
            problems += _problems(parameter, values, query)
        return problems[:MAX_PROBLEMS]


def _problems(parameter: Parameter, values: Sequence[str], query: dict[str, list[str]]) -> list[Problem]:
    if not values:
        return [Problem(parameter.where, parameter.name, "", "is required")] if parameter.required else []
    try:
        value = parameter.read(values, query)
    except ValueError as error:
        return [Problem(parameter.where, parameter.name, "", str(error))]
    return [Problem(parameter.where, parameter.name, pointer, message) for pointer, message in parameter.check(value)]
