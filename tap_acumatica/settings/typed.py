from __future__ import annotations
import typing as t
class Settings:
    def __init__(self, config): 
        from tap_acumatica.settings.table import SETTINGS
        for s in SETTINGS:
            v=config.get(s.name); v=s.default if v is None else v
            if v is None and s.schema["type"]=="array": v=()
            if v is None and s.schema["type"]=="object": v={}
            setattr(self,s.name,v)
        from tap_acumatica.settings.checks import canonical_start
        self.start_date=canonical_start(self.start_date) if self.start_date else None
        self.config=config
    tracks_changes=property(lambda self:self.tracking_type=="date")
    def service_time_zone(self, *, local=False):
        from tap_acumatica.settings.values import time_zone_of
        return time_zone_of(vars(self), local=local)
