"""What a name that is no command here is answered with. PURE.

A command of Redis that this server does not have is told apart from a misspelt one.
"""

from scalability.cache.resp.commands import Request
from scalability.cache.resp.subcommands import MAX_TOLD_BYTES

_NAMES = """
    bgrewriteaof dump restore restore-asking debug monitor sync psync replconf replicaof slaveof failover
    wait waitaof migrate move swapdb
    subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe publish spublish pubsub
    eval eval_ro evalsha evalsha_ro script fcall fcall_ro function
    sort sort_ro
    blmove blmpop blpop brpop brpoplpush lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem lset ltrim rpop rpoplpush
    rpush rpushx
    hdel hexists hexpire hexpireat hexpiretime hget hgetall hgetdel hgetex hincrby hincrbyfloat hkeys hlen hmget hmset hpersist hpexpire
    hpexpireat hpexpiretime hpttl hrandfield hscan hset hsetex hsetnx hstrlen httl hvals
    sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers smismember smove spop srandmember srem sscan sunion
    sunionstore
    bzmpop bzpopmax bzpopmin zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop zmscore zpopmax
    zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank zremrangebyscore zrevrange
    zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore
    geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore
    pfadd pfcount pfdebug pfmerge pfselftest
    bitcount bitfield bitfield_ro bitop bitpos getbit setbit
    xack xackdel xadd xautoclaim xclaim xdel xdelex xgroup xinfo xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim
    lcs lolwut delex digest msetex
    vadd vcard vdim vemb vgetattr vinfo vismember vlinks vrandmember vrange vrem vsetattr vsim
"""

_CLUSTER = frozenset((b"asking", b"cluster", b"readonly", b"readwrite"))
"""Answered in Redis' words for a server that is no part of a cluster: redis-cli and valkey-cli look for them (``--bigkeys``)."""

UNSUPPORTED = frozenset(_NAMES.split())
"""Redis' commands for what this server is not: other types than strings, messages, scripts, replicas, files."""


def unknown(request: Request) -> bytes:
    """The error that ``request``, whose name is no command's, is answered with."""
    name = request[0][:MAX_TOLD_BYTES]
    if name.lower() in _CLUSTER:
        return b"ERR This instance has cluster support disabled"
    if name.lower().decode("latin-1") in UNSUPPORTED:
        return b"ERR '%b' is not supported: this server keeps strings that expire; see docs/resp.md" % name.lower()
    told = b""
    for argument in request[1:]:
        if len(told) >= MAX_TOLD_BYTES:
            break
        told += b"'%b' " % argument[: MAX_TOLD_BYTES - len(told)]
    return b"ERR unknown command '%b', with args beginning with: %b" % (name, told)
