// Icons: severity and state each have a shape of their own, so that colour is never the only sign.
import type { ComponentChildren } from "preact";
import type { Level } from "../state/status";

function Icon({ children, size = 16, cls = "" }: { children: ComponentChildren; size?: number; cls?: string }) {
  return (
    <svg class={`icon ${cls}`} width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

/** Triangle, diamond, circle, tick, ring: critical, warning, info, well, not known. */
export function LevelIcon({ level, size = 16 }: { level: Level; size?: number }) {
  const cls = `level-${level}`;
  if (level === "critical")
    return (
      <Icon size={size} cls={cls}>
        <path d="M8 1.2 15.4 14.2H.6z" fill="currentColor" stroke="currentColor" stroke-linejoin="round" />
        <path d="M8 5.8v4M8 11.9v.2" stroke="var(--on-level)" stroke-width="1.7" stroke-linecap="round" />
      </Icon>
    );
  if (level === "warning")
    return (
      <Icon size={size} cls={cls}>
        <path d="M8 .8 15.2 8 8 15.2.8 8z" fill="currentColor" stroke="currentColor" stroke-linejoin="round" />
        <path d="M8 4.6v4M8 11v.2" stroke="var(--on-level)" stroke-width="1.7" stroke-linecap="round" />
      </Icon>
    );
  if (level === "info")
    return (
      <Icon size={size} cls={cls}>
        <circle cx="8" cy="8" r="7" fill="currentColor" />
        <path d="M8 7.4v4M8 4.7v.2" stroke="var(--on-level)" stroke-width="1.7" stroke-linecap="round" />
      </Icon>
    );
  if (level === "ok")
    return (
      <Icon size={size} cls={cls}>
        <circle cx="8" cy="8" r="7" fill="currentColor" />
        <path d="m4.8 8.3 2.2 2.2 4.2-4.7" fill="none" stroke="var(--on-level)" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" />
      </Icon>
    );
  return (
    <Icon size={size} cls={cls}>
      <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.8" stroke-dasharray="3 2.6" />
    </Icon>
  );
}

/** Drop for a device that sends, hollow ring for a quiet one. */
export function StateIcon({ state }: { state: "live" | "quiet" }) {
  return state === "live" ? (
    <Icon size={12} cls="state-live">
      <circle cx="8" cy="8" r="5" fill="currentColor" />
    </Icon>
  ) : (
    <Icon size={12} cls="state-quiet">
      <circle cx="8" cy="8" r="4.5" fill="none" stroke="currentColor" stroke-width="2" />
    </Icon>
  );
}

const stroke = { fill: "none", stroke: "currentColor", "stroke-width": "1.6", "stroke-linecap": "round", "stroke-linejoin": "round" } as const;
export const Glyph = () => (
  <svg class="glyph" width="28" height="28" viewBox="0 0 32 32" aria-hidden="true">
    <path d="M4 11c3.4 0 4.6-2.6 8-2.6s4.6 2.6 8 2.6 4.6-2.6 8-2.6" {...stroke} stroke-width="2.8" />
    <path d="M4 18h15.5v7.5M24.5 18H28" {...stroke} stroke-width="2.8" />
  </svg>
);
export const MoonIcon = () => <Icon><path d="M13.2 9.8A5.8 5.8 0 0 1 6.2 2.8a5.8 5.8 0 1 0 7 7z" {...stroke} /></Icon>;
export const SunIcon = () => <Icon><circle cx="8" cy="8" r="3" {...stroke} /><path d="M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.1 1.1M11.9 11.9 13 13M3 13l1.1-1.1M11.9 4.1 13 3" {...stroke} /></Icon>;
export const CloseIcon = () => <Icon><path d="m3.5 3.5 9 9m0-9-9 9" {...stroke} /></Icon>;
export const LinkIcon = () => <Icon><path d="M6.5 9.5a3 3 0 0 0 4.3 0l2.3-2.3A3 3 0 0 0 8.8 2.9L8 3.7M9.5 6.5a3 3 0 0 0-4.3 0L2.9 8.8a3 3 0 0 0 4.3 4.3L8 12.3" {...stroke} /></Icon>;
export const PlayIcon = () => <Icon><path d="M4.5 2.8v10.4L13 8z" fill="currentColor" /></Icon>;
export const ArrowIcon = ({ down }: { down: boolean }) => <Icon size={12}><path d={down ? "M8 3v10m-4-4 4 4 4-4" : "M8 13V3M4 7l4-4 4 4"} {...stroke} stroke-width="2" /></Icon>;

export function LeaveIcon() {
  return (
    <Icon>
      <path d="M9.5 2.5h-6v11h6M6.5 8h8M11.5 5l3 3-3 3" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" />
    </Icon>
  );
}
