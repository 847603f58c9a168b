from __future__ import annotations
import functools
from tap_acumatica.settings.typed import Settings
from tap_acumatica.settings.credentials import authenticators, meant
from tap_acumatica.settings.values import transport_of
from tap_acumatica.acumatica.addresses import services
from tap_acumatica.acumatica.connection import Connection
from tap_acumatica.acumatica.pool import SessionPool
from tap_acumatica.acumatica.session import Limits, Session
from tap_acumatica.http.rate_limit import RateLimiter
class Site:
    def __init__(self, config, agent):
        self.settings=Settings(config); self._c=vars(self.settings)|{k:v for k,v in config.items()}; self._agent=agent; self._conns=None
        offered=services(config["url"], self.settings.interface, self.settings.tenants or ())
        self.services={t: meant(self._c,s) for t,s in offered.items()}
        self._auth=authenticators(self._c,self.services,user_agent=agent)
        self._limiter=RateLimiter(config.get("requests_per_minute"))
    @property
    def connections(self):
        if self._conns is None: self._conns={t:self._connect(s,self._auth[t]) for t,s in self.services.items()}
        return self._conns
    def _connect(self, service, auth):
        s=self.settings
        limits=Limits(timeout=s.timeout,tries=s.max_retries,stay=s.pooling)
        def session(worth):
            return Session(pool.service,auth=auth,limits=limits,rate_limiter=self._limiter,user_agent=self._agent,waits_for_seat=worth,transport=transport_of(self._c,service))
        pool=SessionPool(service,session,size=s.max_pool_size,wait=s.pool_wait_time)
        return Connection(service,pool,verbosity=s.verbosity)
    def close(self):
        for c in reversed(list((self._conns or {}).values())): c.close()
def connect(config,*,user_agent): return Site(config,user_agent)
