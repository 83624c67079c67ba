import { parseTable, type Row } from './row.ts';

const ALU = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'];
const SHIFTS = ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'shl', 'sar'];

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, '0');
}

/** The eight two-operand groups at 00-3F, and their immediate forms. */
const aluRows = ALU.map((name, i) => {
  const lock = name === 'cmp' ? '' : 'lock';
  return `
    ${hex(i * 8)}     ${name}  Eb,Gb   ${lock}
    ${hex(i * 8 + 1)} ${name}  Ev,Gv   ${lock}
    ${hex(i * 8 + 2)} ${name}  Gb,Eb
    ${hex(i * 8 + 3)} ${name}  Gv,Ev
    ${hex(i * 8 + 4)} ${name}  AL,Ib
    ${hex(i * 8 + 5)} ${name}  rAX,Iz
    80/${i}           ${name}  Eb,Ib   ${lock}
    81/${i}           ${name}  Ev,Iz   ${lock}
    82/${i}           ${name}  Eb,Ib   i64 ${lock}
    83/${i}           ${name}  Ev,Ibs  ${lock}`;
}).join('');

const shiftRows = SHIFTS.map(
  (name, i) => `
    C0/${i} ${name}  Eb,Ib
    C1/${i} ${name}  Ev,Ib
    D0/${i} ${name}  Eb,1
    D1/${i} ${name}  Ev,1
    D2/${i} ${name}  Eb,CL
    D3/${i} ${name}  Ev,CL`,
).join('');

const bitTestRows = ['bt', 'bts', 'btr', 'btc']
  .map(
    (name, i) => `
    0F.${hex(0xa3 + i * 8)} ${name}  Ev,Gv  ${i ? 'lock' : ''}
    0F.BA/${i + 4}          ${name}  Ev,Ib  ${i ? 'lock' : ''}`,
  )
  .join('');

/** ModRM.reg of the undefined memory forms of D8h-DFh (APM vol. 3, table A-15). */
const X87_UNDEFINED = ['', '1', '', '46', '', '5', '', ''];

const x87Rows = X87_UNDEFINED.map(
  (without, i) => `
    ${hex(0xd8 + i)} x87mem  Mv  opcode ${without && `without=${without}`}
    ${hex(0xd8 + i)} x87reg  Rw  opcode`,
).join('');

/** Integer, system and string instructions (x86-64-v2 without SSE) and the x87 escapes. */
export const INTEGER_ROWS: readonly Row[] = parseTable(`
  ${aluRows}
  ${shiftRows}
  ${bitTestRows}
  ${x87Rows}

  06     push    ES      i64 os
  07     pop     ES      i64 os end
  0E     push    CS      i64 os
  16     push    SS      i64 os
  17     pop     SS      i64 os end
  1E     push    DS      i64 os
  1F     pop     DS      i64 os end
  27     daa     -       i64
  2F     das     -       i64
  37     aaa     -       i64
  3F     aas     -       i64
  40+r   inc     Zv      i64
  48+r   dec     Zv      i64
  50+r   push    Zv      d64
  58+r   pop     Zv      d64
  60     pusha   -       i64 os
  61     popa    -       i64 os
  62     bound   Gv,Mv   i64
  63     arpl    Ew,Gw   i64 pm
  63     movsxd  Gv,Ez   o64
  68     push    Iz      d64 os
  69     imul    Gv,Ev,Iz
  6A     push    Ibs     d64 os
  6B     imul    Gv,Ev,Ibs
  6C     ins     b       rep end
  6D     ins     z       rep end os
  6E     outs    b       rep end
  6F     outs    z       rep end os
  70+c   j       Jb      f64 os end
  84     test    Eb,Gb
  85     test    Ev,Gv
  86     xchg    Eb,Gb   lock
  87     xchg    Ev,Gv   lock
  88     mov     Eb,Gb
  89     mov     Ev,Gv
  8A     mov     Gb,Eb
  8B     mov     Gv,Ev
  8C     movFromSegment  Ev,Sw
  8D     lea     Gv,Mv
  8E     movToSegment    Sw,Ew  end
  8F/0   pop     Ev      d64
  F3.90  pause   -
  90     nop     -       norexb
  90+r   xchgReg Zv,rAX
  98     cbw     -       os
  99     cwd     -       os
  9A     callFar Ap      i64 os end
  9B     fwait   -
  9C     pushf   -       d64 os
  9D     popf    -       d64 os end
  9E     sahf    -
  9F     lahf    -
  A0     mov     AL,Ob
  A1     mov     rAX,Ov
  A2     mov     Ob,AL
  A3     mov     Ov,rAX
  A4     movs    b       rep
  A5     movs    v       rep os
  A6     cmps    b       rep
  A7     cmps    v       rep os
  A8     test    AL,Ib
  A9     test    rAX,Iz
  AA     stos    b       rep
  AB     stos    v       rep os
  AC     lods    b       rep
  AD     lods    v       rep os
  AE     scas    b       rep
  AF     scas    v       rep os
  B0+r   mov     Zb,Ib
  B8+r   mov     Zv,Iv
  C2     ret     Iw      f64 os end
  C3     ret     -       f64 os end
  C4     loadFar Gz,Mp,ES  i64 end
  C5     loadFar Gz,Mp,DS  i64 end
  C6/0   mov     Eb,Ib
  C7/0   mov     Ev,Iz
  C8     enter   Iw,Ib   d64 os
  C9     leave   -       d64 os
  CA     retFar  Iw      os end
  CB     retFar  -       os end
  CC     int3    -       end
  CD     int     Ib      end
  CE     into    -       i64 end
  CF     iret    -       os end
  D4     aam     Ib      i64
  D5     aad     Ib      i64
  D6     salc    -       i64
  D7     xlat    -
  E0     loopne  Jb      f64 os end
  E1     loope   Jb      f64 os end
  E2     loop    Jb      f64 os end
  E3     jcxz    Jb      f64 os end
  E4     in      AL,Ib   end
  E5     in      eAX,Ib  os end
  E6     out     Ib,AL   end
  E7     out     Ib,eAX  os end
  E8     call    Jz      f64 end
  E9     jmp     Jz      f64 end
  EA     jmpFar  Ap      i64 os end
  EB     jmp     Jb      f64 os end
  EC     in      AL,DX   end
  ED     in      eAX,DX  os end
  EE     out     DX,AL   end
  EF     out     DX,eAX  os end
  F1     int1    -       end
  F4     hlt     -       end
  F5     cmc     -
  F6/0   test    Eb,Ib
  F6/1   test    Eb,Ib
  F6/2   not     Eb      lock
  F6/3   neg     Eb      lock
  F6/4   mul     Eb
  F6/5   imul1   Eb
  F6/6   div     Eb
  F6/7   idiv    Eb
  F7/0   test    Ev,Iz
  F7/1   test    Ev,Iz
  F7/2   not     Ev      lock
  F7/3   neg     Ev      lock
  F7/4   mul     Ev
  F7/5   imul1   Ev
  F7/6   div     Ev
  F7/7   idiv    Ev
  F8     clc     -
  F9     stc     -
  FA     cli     -
  FB     sti     -       end
  FC     cld     -
  FD     std     -
  FE/0   inc     Eb      lock
  FE/1   dec     Eb      lock
  FF/0   inc     Ev      lock
  FF/1   dec     Ev      lock
  FF/2   callTo  Ev      f64 end
  FF/3   callFarTo Mp    os end
  FF/4   jmpTo   Ev      f64 end
  FF/5   jmpFarTo  Mp    os end
  FF/6   push    Ev      d64

  0F.00/0    sldt     Ev    pm
  0F.00/1    str      Ev    pm
  0F.00/2    lldt     Ew    pm end
  0F.00/3    ltr      Ew    pm end
  0F.00/4    verr     Ew    pm
  0F.00/5    verw     Ew    pm
  0F.01/0    sgdt     Ms    os
  0F.01/1    sidt     Ms    os
  0F.01/2    lgdt     Ms    os
  0F.01/3    lidt     Ms    os
  0F.01/4    smsw     Ev
  0F.01/6    lmsw     Ew    end
  0F.01/7    invlpg   Mb    end
  0F.01.CA   clac     -     end if=smap
  0F.01.CB   stac     -     end if=smap
  0F.01.D0   xgetbv   -
  0F.01.D1   xsetbv   -     end
  0F.01.F8   swapgs   -     o64 end
  0F.01.F9   rdtscp   -     end if=rdtscp
  0F.02      lar      Gv,Ew  pm
  0F.03      lsl      Gv,Ew  pm
  0F.05      syscall  -     end
  0F.06      clts     -     end
  0F.07      sysret   -     os end
  0F.08      invd     -
  0F.09      wbinvd   -
  0F.0B      ud2      -     end
  0F.0D      prefetch Mb
  0F.18      nopE     Ev
  0F.19      nopE     Ev
  0F.1A      nopE     Ev
  0F.1B      nopE     Ev
  0F.1C      nopE     Ev
  0F.1D      nopE     Ev
  0F.1E      nopE     Ev
  0F.1F      nopE     Ev
  0F.20      movFromControl  Rq,Cq
  0F.21      movFromDebug    Rq,Dq
  0F.22      movToControl    Cq,Rq  end
  0F.23      movToDebug      Dq,Rq  end
  0F.30      wrmsr    -     end
  0F.31      rdtsc    -     end
  0F.32      rdmsr    -     end
  0F.33      rdpmc    -     end
  0F.34      sysenter -     end
  0F.35      sysexit  -     os end
  0F.40+c    cmov     Gv,Ev
  0F.80+c    j        Jz    f64 end
  0F.90+c    set      Eb
  0F.A0      push     FS    d64 os
  0F.A1      pop      FS    d64 os end
  0F.A2      cpuid    -     end
  0F.A4      shld     Ev,Gv,Ib
  0F.A5      shld     Ev,Gv,CL
  0F.A8      push     GS    d64 os
  0F.A9      pop      GS    d64 os end
  0F.AC      shrd     Ev,Gv,Ib
  0F.AD      shrd     Ev,Gv,CL
  NP.0F.AE/0 fxsave   Mb    os
  NP.0F.AE/1 fxrstor  Mb    os
  NP.0F.AE/2 ldmxcsr  Md
  NP.0F.AE/3 stmxcsr  Md
  NP.0F.AE/4 xsave    Mb    os
  NP.0F.AE/5 xrstor   Mb    os
  NP.0F.AE/7 clflush  Mb
  66.0F.AE/6 clwb     Mb    if=clwb
  66.0F.AE/7 clflushopt Mb  if=clflushopt
  NP.0F.AE/5 lfence   Rd
  NP.0F.AE/6 mfence   Rd
  NP.0F.AE/7 sfence   Rd
  F3.0F.AE/0 rdfsbase Ry    o64 if=fsgsbase
  F3.0F.AE/1 rdgsbase Ry    o64 if=fsgsbase
  F3.0F.AE/2 wrfsbase Ry    o64 if=fsgsbase
  F3.0F.AE/3 wrgsbase Ry    o64 if=fsgsbase
  0F.AF      imul2    Gv,Ev
  0F.B0      cmpxchg  Eb,Gb lock
  0F.B1      cmpxchg  Ev,Gv lock
  0F.B2      loadFar  Gv,Mp,SS  end
  0F.B4      loadFar  Gv,Mp,FS  end
  0F.B5      loadFar  Gv,Mp,GS  end
  0F.B6      movzx    Gv,Eb
  0F.B7      movzx    Gv,Ew
  F3.0F.B8   popcnt   Gv,Ev if=popcnt
  0F.B9      ud1      -     end
  F3.0F.BC   tzcnt    Gv,Ev if=bmi1
  0F.BC      bsf      Gv,Ev
  F3.0F.BD   lzcnt    Gv,Ev if=abm
  0F.BD      bsr      Gv,Ev
  0F.BE      movsx    Gv,Eb
  0F.BF      movsx    Gv,Ew
  0F.C0      xadd     Eb,Gb lock
  0F.C1      xadd     Ev,Gv lock
  NP.0F.C3   mov      My,Gy
  0F.C7/1    cmpxchg8b My   lock
  0F.C7/6    rdrand   Rv    norep if=rdrand
  0F.C7/7    rdseed   Rv    norep if=rdseed
  F3.0F.C7/7 rdpid    Ry    if=rdpid
  0F.C8+r    bswap    Zv
  0F.FF      ud1      -     end

  F2.0F38.F0 crc32    Gy,Eb   if=sse4.2
  F2.0F38.F1 crc32    Gy,Ev   if=sse4.2
  0F38.F0    movbe    Gv,Mv   norep if=movbe
  0F38.F1    movbe    Mv,Gv   norep if=movbe
  66.0F38.F6 adcx     Gy,Ey   if=adx
  F3.0F38.F6 adox     Gy,Ey   if=adx

  VEX.NP.0F38.F2   andn   Gy,By,Ey  if=bmi1 pm
  VEX.NP.0F38.F3/1 blsr   By,Ey     if=bmi1 pm
  VEX.NP.0F38.F3/2 blsmsk By,Ey     if=bmi1 pm
  VEX.NP.0F38.F3/3 blsi   By,Ey     if=bmi1 pm
  VEX.NP.0F38.F5   bzhi   Gy,Ey,By  if=bmi2 pm
  VEX.F3.0F38.F5   pext   Gy,By,Ey  if=bmi2 pm
  VEX.F2.0F38.F5   pdep   Gy,By,Ey  if=bmi2 pm
  VEX.F2.0F38.F6   mulx   Gy,By,Ey  if=bmi2 pm
  VEX.NP.0F38.F7   bextr  Gy,Ey,By  if=bmi1 pm
  VEX.66.0F38.F7   shlx   Gy,Ey,By  if=bmi2 pm
  VEX.F3.0F38.F7   sarx   Gy,Ey,By  if=bmi2 pm
  VEX.F2.0F38.F7   shrx   Gy,Ey,By  if=bmi2 pm
  VEX.F2.0F3A.F0   rorx   Gy,Ey,Ib  if=bmi2 pm
`);
