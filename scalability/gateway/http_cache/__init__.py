"""The shared HTTP cache of the gateway (RFC 9111, 5861, 9110, 9211, 9213). Every module named here is PURE: time is an argument.

How a request goes through them:

    asked = directives.request_directives(head)             what the client asks of caches
    key = key.primary_key(scheme, head.host, head.target)   of the URI; GET and HEAD only (``reuse.LOOKED_UP``)
    stored = variants.Variants.chosen(head)                 of the URI's stored answers the one that the request selects
    reuse.decide(head, asked, stored, now)                  fresh, stale (and revalidate), validate, forward, or 504
    answer.made(stored, head, now)                          status, fields (with Age) and body: 304, 206 and 416 too

When the decision is VALIDATE, and for the fetch behind STALE_WHILE_REVALIDATE:

    validation.REPLACED                                     fields of the client's request to leave out
    validation.preconditions([stored])                      fields to add
    validation.freshened(variants.matching(head), ...)      after a 304: old and new answers; none: ask again without preconditions
    answer.made(new, head, now, validated=True)             the client's own preconditions are evaluated on the new one
    reuse.on_failure(asked, stored, now, status=...)        after 5xx, or no answer (status None): serve stale, 504, or relay

and any other answer of the origin:

    storing.store(request, response, body, request_time_s=..., response_time_s=..., wall=...)   a StoredAnswer, or why not
    ranges.absorbed(old, new)                               when the new one has ``part``, and the selection was stored before
    variants.Variants.put(stored)
    validation.freshened_by_head(variants.matching(head), ...)   after a 200 to HEAD
    invalidation.invalidated(scheme, request, response)     keys to drop or mark, after a 2xx or 3xx to an unsafe method

``status.hit`` and ``status.forwarded`` make the value of Cache-Status; it is one more line after those of earlier caches.

Lives are measured by a clock that never goes back; dates in fields are compared with the wall clock's (``freshness``).
``stored.StoredAnswer.fresh_until_s`` is what a fast path compares with the clock.
"""
