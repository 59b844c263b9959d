"""The shared HTTP cache of the gateway (RFC 9111, 5861, 9110, 9211, 9213). Every module named here is PURE: time is an argument.

How a request goes through them:

    asked = directives.request_directives(head)             what the client asks of caches
    key = key.primary_key(scheme, head.host, head.target)   of the URI; GET and HEAD only (``reuse.LOOKED_UP``)
    stored = variants.Variants.chosen(head)                 of the URI's stored answers the one that the request selects
    reuse.decide(head, asked, stored, now)                  fresh, stale (and revalidate), validate, forward, or 504
    answer.answer_fields(stored, now)                       the fields of a hit, with Age; Content-Length is the caller's

and an answer of the origin:

    storing.store(request, response, body, request_time_s=..., response_time_s=...)   a StoredAnswer, or why not
    variants.Variants.put(stored)
    reuse.on_failure(asked, stored, now, status=...)        when validation failed: serve stale, 504, or relay

Times are seconds since 1970. ``stored.StoredAnswer.fresh_until_s`` is what a fast path compares with the clock.
"""
